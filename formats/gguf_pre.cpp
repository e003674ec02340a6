#include "formats/gguf_pre.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/pre_tokenizer.h"

namespace margay {
namespace {

#define MARGAY_SPLIT(regex) \
  R"({"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":")" regex R"("}})"
#define MARGAY_BYTES R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})"
#define MARGAY_GPT2 R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})"
#define MARGAY_SEQUENCE(steps) R"({"type":"Sequence","pretokenizers":[)" steps "]}"
// English suffixes; the white space that ends most expressions; words with capitals first; Bloom's punctuation.
#define MARGAY_SUFFIXES "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define MARGAY_ENDS R"(\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)"
#define MARGAY_UPPER R"([\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}])"
#define MARGAY_LOWER R"([\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}])"
#define MARGAY_CASED(suffix)                                                                                     \
  R"([^\\r\\n\\p{L}\\p{N}]?)" MARGAY_UPPER "*" MARGAY_LOWER "+" suffix R"(|[^\\r\\n\\p{L}\\p{N}]?)" MARGAY_UPPER \
  "+" MARGAY_LOWER "*" suffix
#define MARGAY_BLOOM MARGAY_SPLIT(R"( ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+)")
#define MARGAY_CL100K(digits)                                                              \
  MARGAY_SEQUENCE(MARGAY_SPLIT(MARGAY_SUFFIXES R"(|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|)" digits \
                                               R"(| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|)" MARGAY_ENDS) "," MARGAY_BYTES)

constexpr GgufPre kRows[] = {
    {"gpt-2 gpt2 phi-2 mpt olmo jais roberta-bpe exaone4 trillion granite-docling gigachat mellum modern-bert a.x-4.0 "
     "jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
     "null", false, false, MARGAY_GPT2},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2", "null", true, true,
     MARGAY_CL100K(R"(\\p{N}{1,3})")},
    {"dbrx smaug-bpe glm4 chatglm-bpe", "null", false, false, MARGAY_CL100K(R"(\\p{N}{1,3})")},
    {"qwen2 deepseek-r1-qwen megrez", R"({"type":"NFC"})", false, false, MARGAY_CL100K(R"(\\p{N})")},
    {"stablelm2 hunyuan grok-2", "null", false, false, MARGAY_CL100K(R"(\\p{N})")},
    {"qwen35", R"({"type":"NFC"})", false, false,
     MARGAY_SEQUENCE(MARGAY_SPLIT(
         MARGAY_SUFFIXES
         R"(|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|)" MARGAY_ENDS) "," MARGAY_BYTES)},
    {"gpt-4o llama4", "null", false, false,
     MARGAY_SEQUENCE(MARGAY_SPLIT(MARGAY_CASED(
         MARGAY_SUFFIXES "?") R"(|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|)" MARGAY_ENDS) "," MARGAY_BYTES)},
    {"tekken", "null", true, true,
     MARGAY_SEQUENCE(
         MARGAY_SPLIT(MARGAY_CASED("") R"(|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|)" MARGAY_ENDS) "," MARGAY_BYTES)},
    {"deepseek-v3 hunyuan-dense joyai-llm", "null", false, true,
     MARGAY_SEQUENCE(MARGAY_SPLIT(R"(\\p{N}{1,3})") "," MARGAY_SPLIT(R"([\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+)") "," MARGAY_SPLIT(
         R"([!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|)" MARGAY_ENDS) "," MARGAY_BYTES)},
    {"bailingmoe bailingmoe2 llada-moe", "null", false, false,
     MARGAY_SEQUENCE(MARGAY_SPLIT(
         R"('(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+)") "," MARGAY_BYTES)},
    {"seed-coder", "null", false, false,
     MARGAY_SEQUENCE(MARGAY_SPLIT(
         MARGAY_SUFFIXES
         R"(|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|)" MARGAY_ENDS) "," MARGAY_BYTES)},
    {"bloom poro-chat gpt3-finnish", "null", false, false, MARGAY_SEQUENCE(MARGAY_BLOOM "," MARGAY_BYTES)},
    {"viking", "null", false, false,
     MARGAY_SEQUENCE(MARGAY_BLOOM R"(,{"type":"Digits","individual_digits":true},)" MARGAY_BYTES)},
    {"starcoder smollm refact command-r codeshell exaone minerva-7b", "null", false, false,
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
         MARGAY_SPLIT(R"([\\r\\n])") "," MARGAY_SPLIT(R"(\\s?(?:(?![\u10d0-\u10ff])[\\p{Lu}\\p{Ll}\\p{Lt}])++)") "," MARGAY_SPLIT(R"(\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+)") "," MARGAY_SPLIT(
             R"(\\s+$)") "," MARGAY_SPLIT(R"([\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+)") R"(,{"type":"Digits","individual_digits":true},)" MARGAY_BYTES)},
    {"default", "null", false, false,
     MARGAY_SEQUENCE(R"({"type":"Punctuation","behavior":"Contiguous"},)" MARGAY_GPT2
                     R"(,{"type":"Digits","individual_digits":false},)" MARGAY_SPLIT("[0-9][0-9][0-9]"))},
};

#undef MARGAY_SPLIT
#undef MARGAY_BYTES
#undef MARGAY_GPT2
#undef MARGAY_SEQUENCE
#undef MARGAY_SUFFIXES
#undef MARGAY_ENDS
#undef MARGAY_UPPER
#undef MARGAY_LOWER
#undef MARGAY_CASED
#undef MARGAY_BLOOM
#undef MARGAY_CL100K

}  // namespace

const GgufPre& gguf_pre(std::string_view name, const std::string& where) {
  for (const GgufPre& row : kRows)
    if (fmt::format(" {} ", row.names).find(fmt::format(" {} ", name)) != std::string::npos) return row;
  fail("{}: tokenizer.ggml.pre is \"{}\", which is unknown, and the file has no tokenizer.huggingface.json", where,
       name);
}

std::string gguf_pre_name(const std::string& description, bool ignore_merges) {
  std::string nearest = "default";
  for (const GgufPre& row : kRows) {
    const PreTokenizer candidate(nlohmann::json::parse(row.pre_tokenizer), row.names);
    if (candidate.description() != description) continue;
    const std::string_view names = row.names;
    const std::string name(names.substr(0, names.find(' ')));
    if (row.ignore_merges == ignore_merges) return name;
    if (nearest == "default") nearest = name;
  }
  return nearest;
}

}  // namespace margay
