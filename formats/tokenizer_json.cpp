// Loading a tokenizer from the text of a tokenizer.json.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/json.h"
#include "formats/tokenizer_fields.h"
#include "formats/tokenizer_impl.h"
#include "formats/unknown_tokens.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxAddedToken = 1024;  // bytes: each place of a text is compared with all of them

}  // namespace

Tokenizer::Impl::Impl(const Json& json, std::unique_ptr<const TokenModel> given, std::string text,
                      const std::string& where)
    : normalizer(optional_field(json, "normalizer"), where),
      pre_tokenizer(optional_field(json, "pre_tokenizer"), where),
      model(given ? std::move(given) : read_token_model(json, pre_tokenizer.bytes(), where)),
      decoder(optional_field(json, "decoder"), pre_tokenizer.bytes(), where),
      json_text(std::move(text)) {
  read_added_tokens(optional_field(json, "added_tokens"), where);
  collect_texts(where);
  find_cuts();
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
    require(token.content.size() <= kMaxAddedToken, "{}: an added token has {} bytes, at most {} are supported", where,
            token.content.size(), kMaxAddedToken);
    token.id = token_id_field(optional_field(entry, "id"), where + ": added token " + token.content);
    if (const auto known = model->find(token.content)) token.id = *known;  // the vocabulary decides
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
  const TokenTable& vocabulary = model->vocabulary();
  const size_t count = static_cast<size_t>(vocabulary.size()) + added.size();
  require(count > 0, "{}: the vocabulary is empty", where);
  int64_t largest = 0;
  for (int64_t i = 0; i < vocabulary.size(); ++i) largest = std::max<int64_t>(largest, vocabulary.id(i));
  for (const AddedToken& token : added) largest = std::max<int64_t>(largest, token.id);
  // Real files leave few ids out; one lying id must not cost gigabytes.
  require(largest < static_cast<int64_t>(4 * count + 65536), "{}: {} tokens, yet one has id {}", where, count, largest);
  texts.resize(largest + 1);
  types.assign(texts.size(), TokenType::kNormal);
  for (int64_t i = 0; i < vocabulary.size(); ++i) {
    const std::string_view text = vocabulary.text(i);
    const int32_t id = vocabulary.id(i);
    require(texts[id].empty(), "{}: tokens \"{}\" and \"{}\" have the same id {}", where, texts[id], text, id);
    texts[id] = text;
    if (decoder.replaces_each_byte() && byte_of_token(text)) types[id] = TokenType::kByte;
  }
  for (const AddedToken& token : added) {
    texts[token.id] = token.content;
    types[token.id] = token.special ? TokenType::kControl : TokenType::kUserDefined;
  }
  // GPT-2's "<|endoftext|>" stands for the unknown too, by name only: bytes are never unknown.
  if (const auto unknown = model->unknown(); unknown && is_token(*unknown) && !pre_tokenizer.bytes())
    types[*unknown] = TokenType::kUnknown;
}

void Tokenizer::Impl::find_cuts() {
  if (pre_tokenizer.bytes()) return;
  cuts_at_spaces = true;
  const size_t mark = kSpaceMark.size();
  for (size_t id = 0; id < texts.size(); ++id) {
    if (types[id] != TokenType::kNormal) continue;
    const std::string_view text = texts[id];
    for (size_t at = text.find(kSpaceMark, 1); at != std::string_view::npos; at = text.find(kSpaceMark, at + mark))
      if (at < mark || text.substr(at - mark, mark) != kSpaceMark) cuts_at_spaces = false;
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
    fail("{}: post_processor {} is not supported (TemplateProcessing, ByteLevel, Sequence are)", where, type);
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
  return model->find(text);
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

}  // namespace margay
