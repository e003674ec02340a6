// Loading a tokenizer from files: tokenizer.json, tokenizer.model and what lies beside them.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "formats/sentencepiece_model.h"
#include "formats/tiktoken.h"
#include "formats/tokenizer_fields.h"
#include "formats/tokenizer_impl.h"
#include "formats/tokenizer_lists.h"

namespace margay {
namespace {

using Json = nlohmann::json;

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

// Tokens that a folder adds to its tokenizer.model: added_tokens_decoder of tokenizer_config.json, and the older
// added_tokens.json. In tokenizer.json's own words.
Json added_tokens(const Json& tokenizer_config, const Json& older) {
  Json added = Json::array();
  const auto add = [&](Json id, const Json& flags) {
    Json token = flags;
    token["id"] = std::move(id);
    added.push_back(std::move(token));
  };
  if (const Json& tokens = optional_field(tokenizer_config, "added_tokens_decoder"); tokens.is_object())
    for (const auto& [text, flags] : tokens.items()) {
      uint64_t id = 0;
      const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), id);
      if (flags.is_object() && error == std::errc() && rest == text.data() + text.size()) add(id, flags);
    }
  if (older.is_object())
    for (const auto& [text, id] : older.items()) add(id, {{"content", text}, {"normalized", false}});
  return added;
}

// A tokenizer and what its files' own programs do when no configuration lies beside them.
struct Loaded {
  std::shared_ptr<Tokenizer::Impl> tokenizer;
  std::optional<int32_t> bos = {};
  std::vector<int32_t> eos = {};
  std::optional<bool> adds_bos = {}, adds_eos = {};
};

Loaded load_sentencepiece(std::string_view bytes, const std::string& path, const Json& added) {
  const SentencePieceModel model = read_sentencepiece_model(bytes, path);
  Loaded loaded = {make_sentencepiece(model, added, path), model.bos};
  if (model.eos) loaded.eos.push_back(*model.eos);
  loaded.adds_bos = !model.unigram;  // Llama does, T5 ends its texts
  loaded.adds_eos = model.unigram;
  return loaded;
}

Loaded load_ranks(std::string_view text, const std::string& path, const Json& added) {
  constexpr size_t kLlama3 = 128000;
  RankVocabulary vocabulary = read_rank_file(text, path);
  // The file does not say how text is cut into words.
  require(vocabulary.tokens.size() == kLlama3,
          "{}: a file of {} tiktoken ranks; only Llama 3's ({}) are supported: save the tokenizer as tokenizer.json",
          path, vocabulary.tokens.size(), kLlama3);
  for (std::string& token : llama3_special_tokens()) vocabulary.tokens.push_back(std::move(token));
  for (const Json& token : added) {  // later versions gave names to reserved ones
    const Json& id = optional_field(token, "id");
    const size_t index = id.is_number_unsigned() ? id.get<size_t>() : 0;
    if (index >= kLlama3 && index < vocabulary.tokens.size())
      vocabulary.tokens[index] = string_field(token, "content", path + ": added token");
  }
  ByteBpeLists lists;
  lists.tokens.assign(vocabulary.tokens.begin(), vocabulary.tokens.end());
  lists.merges.assign(vocabulary.merges.begin(), vocabulary.merges.end());
  lists.types.assign(lists.tokens.size(), TokenType::kNormal);
  std::fill(lists.types.begin() + kLlama3, lists.types.end(), TokenType::kControl);
  lists.bos = static_cast<int32_t>(kLlama3);
  Loaded loaded = {make_byte_bpe(lists, gguf_pre("llama-bpe", path), path), lists.bos};
  for (const char* name : {"<|end_of_text|>", "<|eot_id|>"})
    if (const auto id = loaded.tokenizer->find(name)) loaded.eos.push_back(*id);
  loaded.adds_bos = true;
  return loaded;
}

Loaded load(const std::string& path, const Json& tokenizer_config, const std::string& folder) {
  std::string text = read_text_file(path);
  const size_t first = std::min(text.find_first_not_of(" \t\r\n\xEF\xBB\xBF"), text.size());
  if (text.substr(first, 1) == "{") {
    const Json json = parse_json(text, path);
    return {std::make_shared<Tokenizer::Impl>(json, nullptr, std::move(text), path)};
  }
  require(!path.ends_with(".json"), "{}: is no JSON object", path);
  const Json added = added_tokens(tokenizer_config, optional_file(folder, "added_tokens.json"));
  return is_rank_file(text) ? load_ranks(text, path, added) : load_sentencepiece(text, path, added);
}

}  // namespace

Tokenizer Tokenizer::from_huggingface(const std::string& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"})
    if (const std::string path = folder + "/" + name; file_exists(path)) return from_file(path);
  fail("{}: has neither tokenizer.json nor tokenizer.model{}", folder,
       file_exists(folder + "/vocab.txt") ? "; WordPiece (vocab.txt) is not supported" : "");
}

Tokenizer Tokenizer::from_file(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const std::string folder = parent.empty() ? "." : parent;
  const Json tokenizer_config = optional_file(folder, "tokenizer_config.json");
  const Loaded loaded = load(path, tokenizer_config, folder);
  const std::shared_ptr<Impl>& impl = loaded.tokenizer;
  read_end_tokens(*impl, tokenizer_config, optional_file(folder, "special_tokens_map.json"),
                  optional_file(folder, "generation_config.json"), optional_file(folder, "config.json"));
  if (!impl->bos) impl->bos = loaded.bos;
  if (impl->eos.empty())
    for (const int32_t id : loaded.eos) impl->add_eos(id);
  const auto configured = [&](const char* name, std::optional<bool> otherwise) {
    const Json& value = optional_field(tokenizer_config, name);
    return value.is_boolean() ? value.get<bool>() : otherwise;
  };
  if (const auto adds = configured("add_bos_token", loaded.adds_bos)) impl->set_adds_bos(*adds);
  if (const auto adds = configured("add_eos_token", loaded.adds_eos)) impl->set_adds_eos(*adds);
  const std::string template_path = folder + "/chat_template.jinja";
  impl->chat_template =
      file_exists(template_path) ? read_text_file(template_path) : chat_template_field(tokenizer_config);
  return Tokenizer(impl);
}

}  // namespace margay
