// Loading a tokenizer from tokenizer.json and the files beside it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "formats/tokenizer_fields.h"
#include "formats/tokenizer_impl.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

// The whole pipeline ends in bytes, so the decoder must be ByteLevel's.
bool decodes_bytes(const Json& decoder, const std::string& where, int depth = 0) {
  require(depth < 16, "{}: the decoder is nested too deeply", where);
  const std::string type = string_field(decoder, "type", where + ": decoder");
  if (type == "ByteLevel") return true;
  if (type == "Fuse") return false;  // joins what is joined already
  require(type == "Sequence", "{}: decoder {} is not there yet (ByteLevel is)", where, type);
  bool result = false;
  for (const Json& child : array_field(decoder, "decoders", where))
    result = decodes_bytes(child, where, depth + 1) || result;
  return result;
}

// A JSON file of the folder; null when it is not there.
Json optional_file(const std::string& folder, const char* name) {
  const std::string path = folder + "/" + name;
  return file_exists(path) ? parse_json(read_text_file(path), path) : Json();
}

// A token in tokenizer_config.json: its text, or an object with its "content".
std::string token_text_field(const Json& config, const char* name) {
  const Json& value = optional_field(config, name);
  const Json& text = value.is_object() ? optional_field(value, "content") : value;
  return text.is_string() ? text.get<std::string>() : std::string();
}

std::vector<int64_t> token_ids_field(const Json& config, const char* name) {
  const Json& value = optional_field(config, name);
  std::vector<int64_t> ids;
  const auto add = [&](const Json& id) {
    if (id.is_number_integer()) ids.push_back(id.get<int64_t>());
  };
  if (value.is_array()) std::for_each(value.begin(), value.end(), add);
  else add(value);
  return ids;
}

// One template, or a list of named ones: the default or else the first.
std::string chat_template_field(const Json& config) {
  const Json& value = optional_field(config, "chat_template");
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return {};
  std::string first;
  for (const Json& named : value) {
    const Json& text = optional_field(named, "template");
    if (!text.is_string()) continue;
    if (optional_field(named, "name") == "default") return text.get<std::string>();
    if (first.empty()) first = text.get<std::string>();
  }
  return first;
}

void read_end_tokens(Tokenizer::Impl& t, const Json& tokenizer_config, const Json& special_map, const Json& generation,
                     const Json& config) {
  for (const Json* source : {&tokenizer_config, &special_map}) {
    if (!t.bos) t.bos = t.find(token_text_field(*source, "bos_token"));
    if (const auto id = t.find(token_text_field(*source, "eos_token"))) t.add_eos(*id);
  }
  for (const int64_t id : token_ids_field(generation, "eos_token_id")) t.add_eos(id);
  // config.json often has the numbers of a class's defaults: it speaks only where the others are silent.
  if (t.eos.empty())
    for (const int64_t id : token_ids_field(config, "eos_token_id")) t.add_eos(id);
  if (!tokenizer_config.is_null() || t.bos) return;
  for (const Json* source : {&generation, &config})
    for (const int64_t id : token_ids_field(*source, "bos_token_id"))
      if (!t.bos && t.is_token(id)) t.bos = static_cast<int32_t>(id);
}

}  // namespace

Tokenizer::Impl::Impl(const Json& json, std::string text, const std::string& where)
    : Impl(json, Bpe(optional_field(json, "model"), where), std::move(text), where) {}

Tokenizer::Impl::Impl(const Json& json, Bpe model, std::string text, const std::string& where)
    : normalizer(optional_field(json, "normalizer"), where),
      pre_tokenizer(optional_field(json, "pre_tokenizer"), where),
      bpe(std::move(model)),
      json_text(std::move(text)) {
  require(decodes_bytes(optional_field(json, "decoder"), where),
          "{}: the decoder has no ByteLevel step; only byte-level BPE is there yet", where);
  read_added_tokens(optional_field(json, "added_tokens"), where);
  collect_texts(where);
  read_post_processor(optional_field(json, "post_processor"), where, 0);
}

void Tokenizer::Impl::read_added_tokens(const Json& json, const std::string& where) {
  if (json.is_null()) return;
  require(json.is_array(), "{}: added_tokens is {}, expected a list", where, json_kind(json));
  for (const Json& entry : json) {
    AddedToken token;
    token.content = string_field(entry, "content", where + ": added_tokens");
    if (token.content.empty()) continue;
    require(is_utf8(token.content), "{}: an added token's text is not valid UTF-8", where);
    token.id = token_id_field(optional_field(entry, "id"), where + ": added token " + token.content);
    if (const auto known = bpe.find(token.content)) token.id = *known;  // the vocabulary decides
    token.single_word = bool_field(entry, "single_word", false, where);
    token.lstrip = bool_field(entry, "lstrip", false, where);
    token.rstrip = bool_field(entry, "rstrip", false, where);
    token.special = bool_field(entry, "special", false, where);
    token.normalized = bool_field(entry, "normalized", !token.special, where);
    if (!added_ids.emplace(token.content, token.id).second) continue;
    if (token.normalized) normalized_finder.add(normalizer.apply(token.content), added.size());
    else raw_finder.add(token.content, added.size());
    added.push_back(std::move(token));
  }
}

void Tokenizer::Impl::collect_texts(const std::string& where) {
  const TokenTable& vocabulary = bpe.vocabulary();
  const size_t count = static_cast<size_t>(vocabulary.size()) + added.size();
  require(count > 0, "{}: the vocabulary is empty", where);
  int64_t largest = 0;
  for (int64_t i = 0; i < vocabulary.size(); ++i) largest = std::max<int64_t>(largest, vocabulary.id(i));
  for (const AddedToken& token : added) largest = std::max<int64_t>(largest, token.id);
  // Real files leave few ids out; one lying id must not cost gigabytes.
  require(largest < static_cast<int64_t>(4 * count + 65536), "{}: {} tokens, yet one has id {}", where, count, largest);
  texts.resize(largest + 1);
  special.resize(largest + 1);
  for (int64_t i = 0; i < vocabulary.size(); ++i) {
    const std::string_view text = vocabulary.text(i);
    const int32_t id = vocabulary.id(i);
    require(texts[id].empty(), "{}: tokens \"{}\" and \"{}\" have the same id {}", where, texts[id], text, id);
    texts[id] = text;
  }
  for (const AddedToken& token : added) {
    texts[token.id] = token.content;
    special[token.id] = token.special;
  }
}

void Tokenizer::Impl::read_post_processor(const Json& json, const std::string& where, int depth) {
  if (json.is_null()) return;
  require(depth < 16, "{}: the post_processor is nested too deeply", where);
  const std::string type = string_field(json, "type", where + ": post_processor");
  if (type == "ByteLevel") return;  // moves offsets only
  if (type == "Sequence") {
    for (const Json& child : array_field(json, "processors", where)) read_post_processor(child, where, depth + 1);
  } else if (type == "TemplateProcessing") {
    read_template(json, where);
  } else {
    fail("{}: post_processor {} is not there yet (TemplateProcessing, ByteLevel, Sequence are)", where, type);
  }
}

void Tokenizer::Impl::read_template(const Json& json, const std::string& where) {
  std::vector<int32_t> before, after;
  bool seen_text = false;
  for (const Json& piece : array_field(json, "single", where)) {
    if (const Json& sequence = optional_field(piece, "Sequence"); !sequence.is_null()) {
      require(!seen_text && string_field(sequence, "id", where) == "A", "{}: a template for one text must have A once",
              where);
      seen_text = true;
      continue;
    }
    const std::string name = string_field(optional_field(piece, "SpecialToken"), "id", where + ": post_processor");
    const Json& token = optional_field(optional_field(json, "special_tokens"), name.c_str());
    for (const Json& id : array_field(token, "ids", where + ": special token " + name)) {
      const int32_t number = token_id_field(id, where);
      require(is_token(number), "{}: the post_processor adds id {}, which is no token", where, number);
      (seen_text ? after : before).push_back(number);
    }
  }
  require(seen_text, "{}: the post_processor's template leaves the text out", where);
  prefix.insert(prefix.begin(), before.begin(), before.end());
  suffix.insert(suffix.end(), after.begin(), after.end());
}

std::optional<int32_t> Tokenizer::Impl::find(std::string_view text) const {
  if (const auto found = added_ids.find(text); found != added_ids.end()) return found->second;
  return bpe.find(text);
}

void Tokenizer::Impl::set_adds_bos(bool adds) {
  if (!bos) return;
  const bool has = !prefix.empty() && prefix[0] == *bos;
  if (adds && !has) prefix.insert(prefix.begin(), *bos);
  if (!adds && has) prefix.erase(prefix.begin());
}

void Tokenizer::Impl::set_adds_eos(bool adds) {
  if (eos.empty()) return;
  const bool has = !suffix.empty() && suffix.back() == eos[0];
  if (adds && !has) suffix.push_back(eos[0]);
  if (!adds && has) suffix.pop_back();
}

void Tokenizer::Impl::add_eos(int64_t id) {
  if (is_token(id) && std::find(eos.begin(), eos.end(), id) == eos.end()) eos.push_back(static_cast<int32_t>(id));
}

Tokenizer Tokenizer::from_huggingface(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  require(file_exists(path), "{}: has no tokenizer.json{}", folder,
          file_exists(folder + "/tokenizer.model") ? "; SentencePiece's tokenizer.model is not there yet" : "");
  std::string text = read_text_file(path);
  const Json json = parse_json(text, path);
  const auto impl = std::make_shared<Impl>(json, std::move(text), path);

  const Json tokenizer_config = optional_file(folder, "tokenizer_config.json");
  read_end_tokens(*impl, tokenizer_config, optional_file(folder, "special_tokens_map.json"),
                  optional_file(folder, "generation_config.json"), optional_file(folder, "config.json"));
  if (const Json& adds = optional_field(tokenizer_config, "add_bos_token"); adds.is_boolean())
    impl->set_adds_bos(adds.get<bool>());
  if (const Json& adds = optional_field(tokenizer_config, "add_eos_token"); adds.is_boolean())
    impl->set_adds_eos(adds.get<bool>());
  const std::string template_path = folder + "/chat_template.jinja";
  impl->chat_template =
      file_exists(template_path) ? read_text_file(template_path) : chat_template_field(tokenizer_config);
  return Tokenizer(impl);
}

}  // namespace margay
