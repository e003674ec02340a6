// Tokenizers in GGUF: with the whole tokenizer.json, or with tokens, merges and the name of a pre-tokenizer.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "formats/tokenizer_impl.h"

namespace margay {
namespace {

using Json = nlohmann::json;

// tokenizer.ggml.token_type.
enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr const char* kJsonKey = "tokenizer.huggingface.json";
constexpr const char* kEosListKey = "tokenizer.margay.eos_token_ids";  // ours: GGUF has no key for more than three

// What tokenizer.ggml.pre stands for, in tokenizer.json's own words.
struct PreRow {
  const char* names;  // the first is the one we write
  const char* normalizer;
  bool ignore_merges, adds_bos;
  const char* pre_tokenizer;
};

#define MARGAY_SPLIT(regex) \
  R"({"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":")" regex R"("}})"
#define MARGAY_BYTES R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})"
#define MARGAY_GPT2 R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})"
#define MARGAY_SEQUENCE(steps) R"({"type":"Sequence","pretokenizers":[)" steps "]}"
#define MARGAY_CL100K(digits)                                                                          \
  MARGAY_SEQUENCE(MARGAY_SPLIT(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|)" digits \
                               R"(| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)") "," MARGAY_BYTES)

constexpr PreRow kPreRows[] = {
    {"gpt-2 gpt2 phi-2 mpt olmo jais roberta-bpe exaone trillion", "null", false, false, MARGAY_GPT2},
    {"llama-bpe llama3 llama-v3 dbrx smaug-bpe falcon3 pixtral", "null", true, true, MARGAY_CL100K(R"(\\p{N}{1,3})")},
    {"qwen2 deepseek-r1-qwen megrez", R"({"type":"NFC"})", false, false, MARGAY_CL100K(R"(\\p{N})")},
    {"starcoder smollm refact command-r codeshell", "null", false, false,
     MARGAY_SEQUENCE(R"({"type":"Digits","individual_digits":true},)" MARGAY_GPT2)},
    {"falcon", "null", false, false,
     MARGAY_SEQUENCE(R"({"type":"Punctuation","behavior":"Contiguous"},)" MARGAY_GPT2
                     R"(,{"type":"Digits","individual_digits":false},)" MARGAY_SPLIT("[0-9][0-9][0-9]"))},
    {"deepseek-coder", "null", false, true,
     MARGAY_SEQUENCE(
         MARGAY_SPLIT(R"([\\r\\n])") "," MARGAY_SPLIT(R"(\\s?\\p{L}+)") "," MARGAY_SPLIT(R"(\\s?\\p{P}+)") "," MARGAY_SPLIT(
             R"([\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+)") R"(,{"type":"Digits","individual_digits":true},)" MARGAY_BYTES)},
    {"deepseek-llm", "null", false, true,
     // Letters with case, short of Georgian's; then ASCII's and full-width punctuation; then CJK.
     MARGAY_SEQUENCE(
         MARGAY_SPLIT(R"([\\r\\n])") "," MARGAY_SPLIT(R"(\\s?(?:(?![\u10d0-\u10ff])[\\p{Lu}\\p{Ll}\\p{Lt}])+)") "," MARGAY_SPLIT(R"(\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+)") "," MARGAY_SPLIT(
             R"(\\s+$)") "," MARGAY_SPLIT(R"([\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+)") R"(,{"type":"Digits","individual_digits":true},)" MARGAY_BYTES)},
    {"default", "null", false, false,
     MARGAY_SEQUENCE(R"({"type":"Punctuation","behavior":"Contiguous"},)" MARGAY_GPT2
                     R"(,{"type":"Digits","individual_digits":false},)" MARGAY_SPLIT("[0-9][0-9][0-9]"))},
};

#undef MARGAY_SPLIT
#undef MARGAY_BYTES
#undef MARGAY_GPT2
#undef MARGAY_SEQUENCE
#undef MARGAY_CL100K

const PreRow& pre_row(std::string_view name, const std::string& where) {
  for (const PreRow& row : kPreRows) {
    const std::string names = fmt::format(" {} ", row.names);
    if (names.find(fmt::format(" {} ", name)) != std::string::npos) return row;
  }
  fail("{}: tokenizer.ggml.pre is \"{}\", which margay does not know, and the file has no {}", where, name, kJsonKey);
}

std::string first_name(const PreRow& row) {
  const std::string_view names = row.names;
  return std::string(names.substr(0, names.find(' ')));
}

// The row that cuts text as `tokenizer` does; "default" when there is none (our own files carry the tokenizer.json).
std::string nearest_pre(const Tokenizer::Impl& tokenizer) {
  for (const PreRow& row : kPreRows) {
    const PreTokenizer candidate(Json::parse(row.pre_tokenizer), row.names);
    if (candidate.description() == tokenizer.pre_tokenizer.description()) return first_name(row);
  }
  return "default";
}

// The post_processor that puts bos before a text.
Json bos_template(const std::string& text, uint64_t id) {
  const auto piece = [](const char* kind, const std::string& name) {
    Json result;
    result[kind] = {{"id", name}, {"type_id", 0}};
    return result;
  };
  const Json bos = piece("SpecialToken", text), a = piece("Sequence", "A"), b = piece("Sequence", "B");
  Json result;
  result["type"] = "TemplateProcessing";
  result["single"] = Json::array({bos, a});
  result["pair"] = Json::array({bos, a, bos, b});
  result["special_tokens"][text] = {{"id", text}, {"ids", Json::array({id})}, {"tokens", Json::array({text})}};
  return result;
}

// A tokenizer.json made of tokenizer.ggml.*, all but vocabulary and merges.
Json synthesize_json(const GgufFile& file, const PreRow& row, const std::vector<std::string_view>& tokens) {
  const auto types = file.integers_or("tokenizer.ggml.token_type", std::vector<int64_t>(tokens.size(), kNormal));
  require(types.size() == tokens.size(), "{}: {} tokens, but {} token types", file.path(), tokens.size(), types.size());

  Json added = Json::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == kControl || types[id] == kUserDefined)
      added.push_back({{"id", id},
                       {"content", std::string(tokens[id])},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", types[id] == kControl}});
  }
  Json json;
  json["version"] = "1.0";
  json["added_tokens"] = std::move(added);
  json["normalizer"] = Json::parse(row.normalizer);
  json["pre_tokenizer"] = Json::parse(row.pre_tokenizer);
  const uint64_t bos = file.u64_or("tokenizer.ggml.bos_token_id", tokens.size());
  const bool adds_bos = file.boolean_or("tokenizer.ggml.add_bos_token", row.adds_bos) && bos < tokens.size();
  json["post_processor"] = adds_bos ? bos_template(std::string(tokens[bos]), bos) : Json();
  json["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  json["model"] = {{"type", "BPE"}, {"ignore_merges", row.ignore_merges}};
  return json;
}

// A tokenizer made of tokenizer.ggml.*.
std::shared_ptr<Tokenizer::Impl> read_lists(const GgufFile& file) {
  const std::string_view model = file.string("tokenizer.ggml.model");
  require(model == "gpt2", "{}: tokenizer.ggml.model is \"{}\"; only byte-level BPE (gpt2) is there yet", file.path(),
          model);
  const PreRow& row = pre_row(file.string_or("tokenizer.ggml.pre", "default"), file.path());
  const auto tokens = file.strings("tokenizer.ggml.tokens");
  const Json json = synthesize_json(file, row, tokens);
  Bpe bpe(tokens, file.strings("tokenizer.ggml.merges"), row.ignore_merges, file.path());
  auto impl = std::make_shared<Tokenizer::Impl>(json, std::move(bpe),
                                                json.dump(-1, ' ', false, Json::error_handler_t::replace), file.path());
  impl->json_lacks_model = true;
  impl->texts.assign(tokens.begin(), tokens.end());  // a text that came twice has both its ids again
  impl->special.resize(tokens.size());
  return impl;
}

// A tokenizer.json that Hugging Face's library reads too.
std::string whole_json(const Tokenizer::Impl& t) {
  if (!t.json_lacks_model) return t.json_text;
  Json json = Json::parse(t.json_text);
  Json vocabulary = Json::object();
  const TokenTable& tokens = t.bpe.vocabulary();
  for (int64_t i = 0; i < tokens.size(); ++i) vocabulary.emplace(std::string(tokens.text(i)), tokens.id(i));
  json["model"]["vocab"] = std::move(vocabulary);
  json["model"]["merges"] = t.bpe.merges();
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
    if (const auto id = t.find(name); id && t.special[*id]) t.add_eos(*id);
}

}  // namespace

Tokenizer Tokenizer::from_gguf(const GgufFile& file) {
  std::shared_ptr<Impl> impl;
  if (file.has(kJsonKey)) {
    std::string text(file.string(kJsonKey));
    const std::string where = file.path() + ": " + kJsonKey;
    const Json json = parse_json(text, where);
    impl = std::make_shared<Impl>(json, std::move(text), where);
  } else {
    impl = read_lists(file);
  }
  read_special_tokens(*impl, file);
  if (file.has("tokenizer.ggml.add_bos_token")) impl->set_adds_bos(file.boolean("tokenizer.ggml.add_bos_token"));
  if (file.has("tokenizer.ggml.add_eos_token")) impl->set_adds_eos(file.boolean("tokenizer.ggml.add_eos_token"));
  impl->chat_template = file.string_or("tokenizer.chat_template", "");
  return Tokenizer(impl);
}

void Tokenizer::to_gguf(GgufWriter& writer) const {
  const Impl& t = *impl_;
  std::vector<std::string> tokens = t.texts;
  std::vector<int32_t> types(tokens.size(), kNormal);
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) continue;
    tokens[id] = fmt::format("[PAD{}]", id);
    types[id] = kUnused;
  }
  for (const AddedToken& token : t.added) types[token.id] = token.special ? kControl : kUserDefined;

  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", nearest_pre(t));
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", types);
  writer.set("tokenizer.ggml.merges", t.bpe.merges());
  if (t.bos) writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*t.bos));
  if (!t.eos.empty()) {
    writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(t.eos[0]));
    if (t.eos.size() > 1) writer.set("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(t.eos[1]));
  }
  writer.set(kEosListKey, t.eos);
  writer.set("tokenizer.ggml.add_bos_token", adds_bos());
  if (!t.chat_template.empty()) writer.set("tokenizer.chat_template", t.chat_template);
  writer.set(kJsonKey, whole_json(t));
}

}  // namespace margay
