#include "formats/tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/regex.h"
#include "formats/utf8.h"
#include "tests/formats/golden_tokens.h"
#include "tests/formats/made_tokenizer.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using test::check_golden_tokens;
using test::committed_tokenizer;
using test::made_tokenizer;
using test::through_gguf;

struct Golden {
  const char* name;
  const char* strings;  // tests/data/tokens/<strings>.jsonl
  int count;
  const char* source;  // in tests/data
};

class GoldenTokens : public testing::TestWithParam<Golden> {};

TEST_P(GoldenTokens, FromFiles) {
  const Golden& golden = GetParam();
  EXPECT_EQ(check_golden_tokens(committed_tokenizer(golden.source), golden.strings), golden.count);
}

TEST_P(GoldenTokens, ThroughGguf) {
  const Golden& golden = GetParam();
  const auto original = committed_tokenizer(golden.source);
  for (const bool keep_json : {true, false}) {
    SCOPED_TRACE(keep_json);
    // A model's vocabulary may have more rows than the tokenizer has tokens.
    const Tokenizer read = through_gguf(original, golden.name, keep_json, original.vocab_size() + 7);
    EXPECT_EQ(check_golden_tokens(read, golden.strings), golden.count);
    EXPECT_EQ(read.vocab_size(), original.vocab_size());
    EXPECT_EQ(read.bos(), original.bos());
    EXPECT_EQ(read.eos(), original.eos());
    EXPECT_EQ(read.adds_bos(), original.adds_bos());
    EXPECT_EQ(read.encode("a", true), original.encode("a", true));
    EXPECT_EQ(read.chat_template(), original.chat_template());
    for (int32_t id = 0; id < read.vocab_size(); ++id) {
      ASSERT_EQ(read.token_text(id), original.token_text(id));
      ASSERT_EQ(read.token_bytes(id), original.token_bytes(id));
      ASSERT_EQ(read.is_special(id), original.is_special(id));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTokens,
                         testing::Values(Golden{"llama3", "llama3", 164, "hf/tiny-llama3"},
                                         Golden{"gpt2", "gpt2", 164, "hf/tiny-phi"},
                                         Golden{"qwen2", "qwen2", 164, "hf/tiny-qwen2"},
                                         Golden{"spm_json", "spm", 158, "hf/tiny-llama2"},
                                         Golden{"spm_model", "spm", 158, "hf/tiny-llama2/tokenizer.model"},
                                         Golden{"unigram_json", "unigram", 164, "unigram/tokenizer.json"},
                                         Golden{"unigram_model", "unigram", 164, "unigram/tokenizer.model"}),
                         [](const auto& info) { return info.param.name; });

// A tokenizer of GGUF's lists makes its tokenizer.json when it is written.
TEST(Tokenizer, ListsBecomeAWholeJson) {
  const Tokenizer tokenizer = Tokenizer::from_huggingface(test::data("hf/tiny-llama3"));
  const Tokenizer lists = through_gguf(tokenizer, "lists", false), again = through_gguf(lists, "lists-json", true);
  const std::string text = "The wild cat's 1234 whiskers,\n\n  and <|begin_of_text|>more";
  EXPECT_EQ(lists.encode(text, true), tokenizer.encode(text, true));
  EXPECT_EQ(again.encode(text, true), tokenizer.encode(text, true));
  EXPECT_EQ(again.vocab_size(), lists.vocab_size());
  for (int32_t id = 0; id < lists.vocab_size(); ++id) EXPECT_EQ(again.token_text(id), lists.token_text(id)) << id;
}

TEST(Tokenizer, SpecialTokens) {
  const auto t = Tokenizer::from_huggingface(test::data("hf/tiny-llama3"));
  ASSERT_EQ(t.bos(), 1019);
  EXPECT_EQ(t.eos(), std::vector<int32_t>{1023});
  EXPECT_TRUE(t.adds_bos());
  EXPECT_TRUE(t.is_special(1020));
  EXPECT_FALSE(t.is_special(5));
  EXPECT_FALSE(t.is_special(-1));
  EXPECT_FALSE(t.chat_template().empty());
  EXPECT_EQ(t.find_token("<|eot_id|>"), 1023);
  EXPECT_EQ(t.find_token("no such token"), std::nullopt);
  EXPECT_EQ(t.vocab_size(), 1024);

  const auto with = t.encode("a<|eot_id|>b", true);
  ASSERT_EQ(with.size(), 4u);
  EXPECT_EQ(with[0], 1019);
  EXPECT_EQ(with[2], 1023);
  const auto plain = t.encode("a<|eot_id|>b", false, false);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 1023), 0);
  EXPECT_EQ(t.decode(plain), "a<|eot_id|>b");
  EXPECT_EQ(t.decode(with, true), "ab");
  EXPECT_EQ(t.decode(std::vector<int32_t>{-7, 1 << 30}), "");
  EXPECT_EQ(t.token_bytes(*t.find_token("Ġthe")), " the");
}

TEST(Tokenizer, InvalidUtf8) {
  const auto t = Tokenizer::from_huggingface(test::data("hf/tiny-phi"));
  EXPECT_EQ(t.decode(t.encode("a\xff\xe2\x82z\xed\xa0\x80", false)), "a\uFFFD\uFFFDz\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repair_utf8("\xf0\x9f\x98"), "\uFFFD");
  EXPECT_EQ(repair_utf8("\xf0\x9f\x98\x80"), "😀");
  EXPECT_EQ(repair_utf8("\xc0\x80\xf5"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Tokenizer, LongWordsAreNotQuadratic) {
  const auto t = Tokenizer::from_huggingface(test::data("hf/tiny-llama3"));
  const std::string word(300'000, 'e');
  EXPECT_EQ(t.decode(t.encode(word, false)), word);
  const std::string spaces(300'000, ' ');
  EXPECT_EQ(t.decode(t.encode(spaces, false)), spaces);
}

// A tokenizer with tokens for single bytes only shows how its pre-tokenizer and added tokens cut: decode() of each
// piece is compared by marking cuts with an added token.
TEST(Tokenizer, AddedTokensFollowTheirFlags) {
  nlohmann::json json = made_tokenizer();
  const auto added = [&](int id, const char* text, nlohmann::json flags) {
    nlohmann::json token = {{"id", id}, {"content", text}, {"special", false}, {"normalized", false}};
    token.update(flags);
    json["added_tokens"].push_back(token);
  };
  added(300, "<a>", {{"lstrip", true}});
  added(301, "<b>", {{"rstrip", true}});
  added(302, "word", {{"single_word", true}});
  added(303, "<a>>", nlohmann::json::object());
  added(304, "LOUD", {{"normalized", true}});
  json["normalizer"] = {{"type", "Lowercase"}};
  const Tokenizer t = test::load_tokenizer(json, "added");
  const auto id = [&](const char* text) { return *t.find_token(text); };
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(t.encode("X \t<a> Y", false), (Ids{id("x"), 300, id("Ġ"), id("y")}));
  EXPECT_EQ(t.encode("x <b>  y", false), (Ids{id("x"), id("Ġ"), 301, id("y")}));
  EXPECT_EQ(t.encode("<a>>", false), Ids{303});
  EXPECT_EQ(t.encode("<a>x", false), (Ids{300, id("x")}));
  EXPECT_EQ(t.encode("word!", false), (Ids{302, id("!")}));
  EXPECT_EQ(t.encode("swo", false), (Ids{id("s"), id("w"), id("o")}));
  EXPECT_EQ(t.encode("sword", false).size(), 5u);
  EXPECT_EQ(t.encode("wordé", false).size(), 6u);
  EXPECT_EQ(t.encode("Loud", false), Ids{304});
}

TEST(Tokenizer, SplitBehaviors) {
  // Pieces of one letter each do not merge, pieces of two do: "aa" is a token when a piece holds both.
  const auto pieces = [](const char* behavior, bool invert, const char* text) {
    nlohmann::json json = made_tokenizer();
    json["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", invert}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
    json["model"]["merges"] = {"a -", "- a", "- -", "a a"};
    for (const char* token : {"a-", "-a", "--", "aa"}) {
      auto& vocabulary = json["model"]["vocab"];
      const size_t id = vocabulary.size();
      vocabulary[token] = id;
    }
    const Tokenizer t = test::load_tokenizer(json, "split");
    std::string result;
    for (const int32_t id : t.encode(text, false)) result += t.token_bytes(id) + "|";
    return result;
  };
  EXPECT_EQ(pieces("Isolated", false, "aa--a"), "aa|-|-|a|");
  EXPECT_EQ(pieces("Removed", false, "aa--a"), "aa|a|");
  EXPECT_EQ(pieces("Removed", true, "aa--a"), "-|-|");
  EXPECT_EQ(pieces("Contiguous", false, "aa--a"), "aa|--|a|");
  EXPECT_EQ(pieces("MergedWithPrevious", false, "a-a--a"), "a-|a-|-|a|");
  EXPECT_EQ(pieces("MergedWithNext", false, "a-a--a"), "a|-a|-|-a|");
}

TEST(Tokenizer, WhatIsNotThereIsRefusedByName) {
  const auto message = [](const std::function<void(nlohmann::json&)>& change) -> std::string {
    nlohmann::json json = made_tokenizer();
    change(json);
    try {
      test::load_tokenizer(json, "refused");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  using Json = nlohmann::json;
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_PRED2(has, message([](Json& j) { j["model"]["type"] = "Unigram"; }), "Unigram");
  EXPECT_PRED2(has, message([](Json& j) { j["model"]["type"] = "WordPiece"; }), "WordPiece");
  EXPECT_PRED2(has, message([](Json& j) { j["model"]["dropout"] = 0.1; }), "dropout");
  EXPECT_PRED2(has, message([](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }), "end_of_word_suffix");
  EXPECT_PRED2(has, message([](Json& j) { j["model"]["type"] = "WordLevel"; }), "WordLevel");
  EXPECT_PRED2(has, message([](Json& j) { j["pre_tokenizer"] = {{"type", "BertPreTokenizer"}}; }), "BertPreTokenizer");
  EXPECT_PRED2(has, message([](Json& j) { j["pre_tokenizer"] = nullptr; }), "ByteLevel");
  EXPECT_PRED2(has, message([](Json& j) { j["decoder"] = {{"type", "WordPiece"}}; }), "decoder WordPiece");
  EXPECT_PRED2(has, message([](Json& j) { j["decoder"] = {{"type", "ByteFallback"}}; }), "ByteLevel");
  EXPECT_PRED2(has, message([](Json& j) { j["decoder"] = nullptr; }), "decoder");
  EXPECT_PRED2(has, message([](Json& j) { j["normalizer"] = {{"type", "BertNormalizer"}}; }), "BertNormalizer");
  EXPECT_PRED2(has, message([](Json& j) { j["post_processor"] = {{"type", "BertProcessing"}}; }), "BertProcessing");
  EXPECT_PRED2(has, message([](Json& j) { j["model"]["merges"] = {"a zz"}; }), "zz");
  EXPECT_PRED2(has, message([](Json& j) { j["model"]["vocab"]["far"] = 2147483647; }), "2147483647");
}

TEST(Tokenizer, NormalizersRun) {
  nlohmann::json json = made_tokenizer();
  json["normalizer"] = nlohmann::json::parse(R"({"type":"Sequence","normalizers":[
      {"type":"Strip","strip_left":true,"strip_right":true},{"type":"Lowercase"},
      {"type":"Replace","pattern":{"Regex":"[aeiou]+"},"content":"_"},{"type":"Prepend","prepend":">"},{"type":"NFKC"}]})");
  const Tokenizer t = test::load_tokenizer(json, "normalizers");
  EXPECT_EQ(t.decode(t.encode(" \u3000Nouns FILE ﬁ \n", false)), ">n_ns f_l_ fi");
  EXPECT_EQ(t.decode(t.encode("", false)), "");
}

TEST(Regex, OnigurumaIsTranslated) {
  const auto translated = [](const char* pattern) { return translate_oniguruma(pattern, "test"); };
  EXPECT_EQ(translated(R"(\h[\h_])"), "[0-9a-fA-F][0-9a-fA-F_]");
  EXPECT_EQ(translated("(?m:.)a{,3}\\u0041"), "(?s:.)a{0,3}\\x{0041}");
  EXPECT_EQ(translated(R"((?i:'s)|[^\r\n\p{L}]?+\p{N}{1,3}|[[:alpha:]])"),
            R"((?i:'s)|[^\r\n\p{L}]?+\p{N}{1,3}|[[:alpha:]])");
  for (const char* pattern : {"[a[b]]", R"([\p{L}&&[^a]])", "a{1,2}+", "a{2}?", R"(\g<1>)", "(?~a)", "a(?i)b", "[a"})
    EXPECT_THROW(translated(pattern), Error) << pattern;
  EXPECT_THROW(Regex("(a", "test"), Error);
}

TEST(Regex, AHostilePatternIsAnError) {
  const Regex regex("(?:a|aa|aaa)+b", "test");
  EXPECT_THROW(regex.find(std::string(64, 'a') + "cb", 0), Error);
}

TEST(Regex, AGroupMayRepeatThroughALongWord) {
  const std::string word(300'000, 'a');
  const auto match = Regex("(?:(?!b)[a-z])+", "test").find(word, 0);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->end, word.size());
}

TEST(Regex, WhiteSpaceIsUnicodes) {
  const Regex space(R"(\s)", "test");
  for (const char* text : {" ", "\u0085", "\u00a0", "\u3000", "\u2028", "\n", "\v"}) EXPECT_TRUE(space.find(text, 0));
  for (const char* text : {"a", "\u180e", "\u200b"}) EXPECT_FALSE(space.find(text, 0));
}

}  // namespace
}  // namespace margay
