// The table from tokenizer.ggml.pre to regular expressions.
#include "formats/gguf_pre.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/pre_tokenizer.h"
#include "formats/utf8.h"

namespace margay {
namespace {

// The pieces of a text, with bars between them.
std::string pieces(const char* pre, const std::string& text) {
  const PreTokenizer tokenizer(nlohmann::json::parse(gguf_pre(pre, "test").pre_tokenizer), "test");
  std::string result;
  tokenizer.run(text, true, [&](std::string_view piece) {
    if (!result.empty()) result += "|";
    result += piece;
  });
  return result;
}

TEST(GgufPre, EachCutsInItsWay) {
  const std::string text = "It's HelloWorld's 12345, caf\u00e9\u0301!\n\n  x";
  EXPECT_EQ(pieces("gpt-2", text), "It|'s| HelloWorld|'s| 12345|,| caf\u00e9|\u0301!|\n\n | x");
  EXPECT_EQ(pieces("llama-bpe", text), "It|'s| HelloWorld|'s| |123|45|,| caf\u00e9|\u0301!\n\n| | x");
  EXPECT_EQ(pieces("qwen2", text), "It|'s| HelloWorld|'s| |1|2|3|4|5|,| caf\u00e9|\u0301!\n\n| | x");
  EXPECT_EQ(pieces("qwen35", text), "It|'s| HelloWorld|'s| |1|2|3|4|5|,| caf\u00e9\u0301|!\n\n| | x");
  EXPECT_EQ(pieces("gpt-4o", text), "It's| Hello|World's| |123|45|,| caf\u00e9\u0301|!\n\n| | x");
  EXPECT_EQ(pieces("tekken", text), "It|'s| Hello|World|'s| |1|2|3|4|5|,| caf\u00e9\u0301|!\n\n| | x");
  EXPECT_EQ(pieces("deepseek-v3", text), "It|'s| HelloWorld|'s| |123|45|,| caf\u00e9\u0301|!\n\n| | x");
  EXPECT_EQ(pieces("starcoder", text), "It|'s| HelloWorld|'s| |1|2|3|4|5|,| caf\u00e9|\u0301!|\n\n | x");
  EXPECT_EQ(pieces("falcon", text), "It|'|s| HelloWorld|'|s| |123|45|,| caf\u00e9|\u0301|!|\n\n | x");
  EXPECT_EQ(pieces("bloom", "Hello, world"), "Hello|,| world");
  EXPECT_EQ(pieces("viking", "a 12"), "a| |1|2");
  EXPECT_EQ(pieces("bailingmoe", "I'LL go\n\n x"), "I|'LL| go|\n\n| x");
  EXPECT_EQ(pieces("seed-coder", "a.\nb"), "a|.|\n|b");
  EXPECT_THROW(gguf_pre("no such", "test"), Error);
}

TEST(GgufPre, EveryRowIsItsOwnNearestName) {
  for (const char* name :
       {"gpt-2", "llama-bpe", "dbrx", "qwen2", "qwen35", "gpt-4o", "tekken", "deepseek-v3", "bailingmoe", "seed-coder",
        "bloom", "viking", "starcoder", "falcon", "deepseek-coder", "deepseek-llm"}) {
    const GgufPre& row = gguf_pre(name, "test");
    const PreTokenizer tokenizer(nlohmann::json::parse(row.pre_tokenizer), "test");
    EXPECT_EQ(gguf_pre_name(tokenizer.description(), row.ignore_merges), name);
    EXPECT_FALSE(pieces(name, "\u0410\u0431\u0432 12 \u4f60\u597d!?\n\n \tx\u3000").empty());
  }
  EXPECT_EQ(gguf_pre_name("another", false), "default");
}

}  // namespace
}  // namespace margay
