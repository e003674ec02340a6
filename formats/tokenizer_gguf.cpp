// Tokenizers in GGUF: with the whole tokenizer.json, or with lists of tokens and the names of what to do with them.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "formats/tokenizer_impl.h"
#include "formats/tokenizer_lists.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

constexpr const char* kJsonKey = "tokenizer.huggingface.json";
constexpr const char* kEosListKey = "tokenizer.margay.eos_token_ids";  // ours: GGUF has no key for more than three
constexpr const char* kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";
constexpr const char* kPrefixSpaceKey = "tokenizer.ggml.add_space_prefix";
constexpr const char* kCollapseKey = "tokenizer.ggml.remove_extra_whitespaces";

std::vector<TokenType> read_types(const GgufFile& file, size_t tokens) {
  const auto numbers = file.integers_or("tokenizer.ggml.token_type", std::vector<int64_t>(tokens, 1));
  require(numbers.size() == tokens, "{}: {} tokens, but {} token types", file.path(), tokens, numbers.size());
  std::vector<TokenType> types;
  types.reserve(tokens);
  for (const int64_t number : numbers)
    types.push_back(number >= 1 && number <= 6 ? static_cast<TokenType>(number) : TokenType::kNormal);
  return types;
}

std::shared_ptr<Tokenizer::Impl> read_byte_bpe(const GgufFile& file) {
  const GgufPre& pre = gguf_pre(file.string_or("tokenizer.ggml.pre", "default"), file.path());
  ByteBpeLists lists;
  lists.tokens = file.strings("tokenizer.ggml.tokens");
  lists.types = read_types(file, lists.tokens.size());
  lists.merges = file.strings("tokenizer.ggml.merges");
  const uint64_t bos = file.u64_or("tokenizer.ggml.bos_token_id", lists.tokens.size());
  if (file.boolean_or("tokenizer.ggml.add_bos_token", pre.adds_bos) && bos < lists.tokens.size())
    lists.bos = static_cast<int32_t>(bos);
  return make_byte_bpe(lists, pre, file.path());
}

std::shared_ptr<Tokenizer::Impl> read_sentencepiece(const GgufFile& file, bool unigram) {
  SentencePieceModel model;
  model.unigram = unigram;
  model.pieces = file.strings("tokenizer.ggml.tokens");
  model.scores = file.floats("tokenizer.ggml.scores");
  require(model.scores.size() == model.pieces.size(), "{}: {} tokens, but {} scores", file.path(), model.pieces.size(),
          model.scores.size());
  model.types = read_types(file, model.pieces.size());
  model.prefix_space = file.boolean_or(kPrefixSpaceKey, true);
  model.collapse_spaces = file.boolean_or(kCollapseKey, false);
  std::string charsmap;
  if (file.has(kCharsmapKey))
    for (const int64_t byte : file.integers(kCharsmapKey)) charsmap += static_cast<char>(byte);
  model.charsmap = charsmap;
  // Phi-3's turns end with a line break that its tokens take; GGUF has no key for that.
  Json added = Json::array();
  if (file.string_or("general.architecture", "") == "phi3")
    for (size_t id = 0; id < model.pieces.size(); ++id)
      if (const std::string_view text = model.pieces[id];
          text == "</s>" || (model.types[id] == TokenType::kControl && text != "<s>" && text != "<|endoftext|>"))
        added.push_back({{"id", id}, {"content", std::string(text)}, {"rstrip", true}, {"special", true}});
  return make_sentencepiece(model, added, file.path());
}

// A tokenizer made of tokenizer.ggml.*.
std::shared_ptr<Tokenizer::Impl> read_lists(const GgufFile& file) {
  const std::string_view model = file.string("tokenizer.ggml.model");
  if (model == "gpt2") return read_byte_bpe(file);
  if (model == "llama" || model == "t5") return read_sentencepiece(file, model == "t5");
  fail("{}: tokenizer.ggml.model is \"{}\"{}, which is not supported (gpt2, llama and t5 are)", file.path(), model,
       model == "bert" ? " (WordPiece)" : "");
}

// A tokenizer.json that Hugging Face's library reads too; empty when there is none.
std::string whole_json(const Tokenizer::Impl& t) {
  if (!t.json_lacks_model) return t.json_text;
  Json json = Json::parse(t.json_text);
  Json vocabulary = Json::object();
  const TokenTable& tokens = t.model->vocabulary();
  for (int64_t i = 0; i < tokens.size(); ++i) vocabulary.emplace(std::string(tokens.text(i)), tokens.id(i));
  json["model"]["vocab"] = std::move(vocabulary);
  json["model"]["merges"] = t.model->gguf(t.texts.size()).merges;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void read_special_tokens(Tokenizer::Impl& t, const GgufFile& file) {
  const auto id_of = [&](const char* key) {
    const uint64_t id = file.u64_or(key, ~uint64_t{0});
    return id < t.texts.size() ? static_cast<int64_t>(id) : -1;
  };
  if (const int64_t id = id_of("tokenizer.ggml.bos_token_id"); t.is_token(id)) t.bos = static_cast<int32_t>(id);
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    t.add_eos(id_of(key));
  if (file.has(kEosListKey)) {
    for (const int64_t id : file.integers(kEosListKey)) t.add_eos(id);
    return;
  }
  // Other converters drop generation_config's list: know the ends of turns by their names.
  for (const char* name : {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|eom_id|>"})
    if (const auto id = t.find(name); id && t.types[*id] == TokenType::kControl) t.add_eos(*id);
}

// What SentencePiece's models do where the file's keys do not say.
void default_ends(Tokenizer::Impl& t, const GgufFile& file) {
  const bool unigram = file.string("tokenizer.ggml.model") == "t5";
  if (!t.bos) t.bos = t.find("<s>");
  if (const auto eos = t.find("</s>"); eos && t.eos.empty()) t.add_eos(*eos);
  t.set_adds_bos(!unigram);
  t.set_adds_eos(unigram);
}

// The keys of models of characters: what happens to a text is asked of the tokenizer itself.
void write_sentencepiece(const Tokenizer::Impl& t, GgufWriter& writer) {
  writer.set(kPrefixSpaceKey, t.words("a").starts_with(kSpaceMark));
  writer.set(kCollapseKey, t.words("a  a") == t.words("a a"));
  if (const Charsmap* charsmap = t.normalizer.charsmap())
    writer.set(kCharsmapKey, std::vector<uint8_t>(charsmap->blob().begin(), charsmap->blob().end()));
  if (const auto unknown = t.model->unknown())
    writer.set("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(*unknown));
}

}  // namespace

Tokenizer Tokenizer::from_gguf(const GgufFile& file) {
  std::shared_ptr<Impl> impl;
  if (file.has(kJsonKey)) {
    std::string text(file.string(kJsonKey));
    const std::string where = file.path() + ": " + kJsonKey;
    const Json json = parse_json(text, where);
    impl = std::make_shared<Impl>(json, nullptr, std::move(text), where);
  } else {
    impl = read_lists(file);
  }
  read_special_tokens(*impl, file);
  if (!file.has(kJsonKey) && !impl->pre_tokenizer.bytes()) default_ends(*impl, file);
  if (file.has("tokenizer.ggml.add_bos_token")) impl->set_adds_bos(file.boolean("tokenizer.ggml.add_bos_token"));
  if (file.has("tokenizer.ggml.add_eos_token")) impl->set_adds_eos(file.boolean("tokenizer.ggml.add_eos_token"));
  impl->chat_template = file.string_or("tokenizer.chat_template", "");
  return Tokenizer(impl);
}

void Tokenizer::to_gguf(GgufWriter& writer, int64_t rows) const {
  const Impl& t = *impl_;
  std::vector<std::string> tokens = t.texts;
  std::vector<int32_t> types;
  for (const TokenType type : t.types) types.push_back(static_cast<int32_t>(type));
  tokens.resize(std::max(tokens.size(), static_cast<size_t>(rows)));
  types.resize(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) continue;
    tokens[id] = padding_token(id);
    types[id] = static_cast<int32_t>(TokenType::kUnused);
  }

  GgufModel model = t.model->gguf(tokens.size());
  const bool bytes = t.pre_tokenizer.bytes();
  writer.set("tokenizer.ggml.model", model.name);
  writer.set("tokenizer.ggml.pre",
             bytes ? gguf_pre_name(t.pre_tokenizer.description(), model.ignore_merges) : std::string("default"));
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", types);
  if (bytes) writer.set("tokenizer.ggml.merges", model.merges);
  else writer.set("tokenizer.ggml.scores", model.scores);
  if (!bytes) write_sentencepiece(t, writer);
  if (t.bos) writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*t.bos));
  if (!t.eos.empty()) {
    writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(t.eos[0]));
    if (t.eos.size() > 1) writer.set("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(t.eos[1]));
  }
  writer.set(kEosListKey, t.eos);
  writer.set("tokenizer.ggml.add_bos_token", adds_bos());
  writer.set("tokenizer.ggml.add_eos_token", !t.eos.empty() && !t.suffix.empty() && t.suffix.back() == t.eos[0]);
  if (!t.chat_template.empty()) writer.set("tokenizer.chat_template", t.chat_template);
  if (const std::string json = whole_json(t); !json.empty()) writer.set(kJsonKey, json);
}

}  // namespace margay
