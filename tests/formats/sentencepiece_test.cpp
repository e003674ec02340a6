// What SentencePiece's models do beyond the golden strings of tokenizer_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/unknown_tokens.h"
#include "tests/formats/golden_tokens.h"
#include "tests/formats/made_sentencepiece.h"
#include "tests/formats/made_tokenizer.h"

namespace margay {
namespace {

using test::MadeKind;
using test::MadeSentencePiece;
using Ids = std::vector<int32_t>;

// The tokens of a text, with bars between them.
std::string cut(const Tokenizer& tokenizer, const std::string& text) {
  std::string result;
  for (const int32_t id : tokenizer.encode(text, false)) {
    if (!result.empty()) result += "|";
    result += tokenizer.token_text(id);
  }
  return result;
}

MadeSentencePiece letters(MadeKind kind) {
  MadeSentencePiece model(kind);
  model.normalizer(false, false);
  for (const char* letter : {"a", "b", "c", "▁"}) model.piece(letter, -20);
  return model;
}

TEST(SentencePiece, TheBestScoreMergesFirst) {
  auto model = letters(MadeKind::kBpe);
  model.piece("ab", -2).piece("bc", -1).piece("aa", -3).piece("aaa", -3);
  const Tokenizer t = model.load("best-score");
  EXPECT_EQ(cut(t, "abc"), "a|bc");
  EXPECT_EQ(cut(t, "abab"), "ab|ab");
  EXPECT_EQ(cut(t, "aaaa"), "aaa|a");  // of equal scores the leftmost: aa|a|a, then aaa|a
  EXPECT_EQ(cut(t, ""), "");
}

TEST(SentencePiece, ThePartsOfATokenNeedNotBeTokens) {
  const Tokenizer t = letters(MadeKind::kBpe).piece("xy", -1).piece("axy", -2).load("parts");
  EXPECT_EQ(cut(t, "axyx"), "axy|<unk>");
}

TEST(SentencePiece, TheMostLikelyCutIsTaken) {
  auto model = letters(MadeKind::kUnigram);
  model.piece("ab", -2).piece("bc", -2.5f).piece("abc", -25);
  const Tokenizer t = model.load("likely");
  EXPECT_EQ(cut(t, "abc"), "ab|c");  // -22; a|bc has -22.5 and abc -25
  EXPECT_EQ(cut(t, "abbc"), "ab|bc");
}

TEST(SentencePiece, UnusedAndControlPiecesAreInNoText) {
  for (const MadeKind kind : {MadeKind::kBpe, MadeKind::kUnigram}) {
    auto model = letters(kind);
    model.piece("ab", -1, TokenType::kUnused).piece("bc", -1, TokenType::kControl).piece("<0x61>", 0, TokenType::kByte);
    const Tokenizer t = model.load("unused");
    const Ids ids = t.encode("abc<s>", false, false);
    EXPECT_EQ(t.decode(ids), "abc<unk>") << t.decode(ids);
    EXPECT_EQ(ids.size(), 4u);
    EXPECT_EQ(t.encode("a<s>b", false).at(1), 1);
  }
}

TEST(SentencePiece, WhatIsUnknown) {
  for (const MadeKind kind : {MadeKind::kBpe, MadeKind::kUnigram}) {
    EXPECT_EQ(cut(letters(kind).load("unknown"), "aéöb日"), "a|<unk>|b|<unk>");
    const Tokenizer t = letters(kind).bytes().load("bytes");
    EXPECT_EQ(cut(t, "aéb\n"), "a|<0xC3>|<0xA9>|b|<0x0A>");
    EXPECT_EQ(t.decode(t.encode("aéb\n日", false)), "aéb\n日");
    // Bytes for some characters only.
    const Tokenizer some =
        letters(kind).piece("<0xC3>", 0, TokenType::kByte).piece("<0xA9>", 0, TokenType::kByte).load("some");
    EXPECT_EQ(cut(some, "éöa"), "<0xC3>|<0xA9>|<unk>|a");
  }
}

TEST(SentencePiece, SpacesBeforeAndWithin) {
  const auto spaces = [](bool prefix, bool collapse, const char* text) {
    return cut(letters(MadeKind::kBpe).piece("▁a", -1).normalizer(prefix, collapse).load("spaces"), text);
  };
  EXPECT_EQ(spaces(true, false, "a  a "), "▁a|▁|▁a|▁");
  EXPECT_EQ(spaces(false, false, "a  a "), "a|▁|▁a|▁");
  EXPECT_EQ(spaces(true, true, "  a   a "), "▁a|▁a");
  EXPECT_EQ(spaces(true, true, "  "), "");
  EXPECT_EQ(spaces(true, false, "<s>a</s>a"), "<s>|▁a|</s>|▁a");
}

TEST(SentencePiece, UserDefinedPiecesAreFoundFirst) {
  auto model = letters(MadeKind::kBpe);
  model.piece("▁▁", 0, TokenType::kUserDefined).piece("bcb", 0, TokenType::kUserDefined).piece("ab", -1);
  const Tokenizer t = model.load("user-defined");
  EXPECT_EQ(t.encode("a  abcb", false), (Ids{3, 7, 3, 8}));
  EXPECT_EQ(t.decode(Ids{3, 7, 8}), "a  bcb");
  EXPECT_FALSE(t.is_special(8));
}

TEST(SentencePiece, FoldersAddTokensAndSayWhatBeginsAText) {
  const std::string folder = test::scratch("spm-folder");
  (void)std::system(("mkdir -p '" + folder + "'").c_str());
  test::put(folder + "/tokenizer.model", letters(MadeKind::kBpe).text());
  test::put(folder + "/tokenizer_config.json", R"({"add_bos_token": false, "add_eos_token": true, "eos_token": "<end>",
      "added_tokens_decoder": {"7": {"content": "<end>", "special": true, "normalized": false, "lstrip": true}}})");
  test::put(folder + "/added_tokens.json", R"({"<pad>": 9})");
  const Tokenizer t = Tokenizer::from_huggingface(folder);
  EXPECT_EQ(t.encode("a <end>b<pad>", true), (Ids{3, 7, 4, 9, 7}));
  EXPECT_EQ(t.eos(), Ids{7});
  EXPECT_EQ(t.vocab_size(), 10);
  EXPECT_EQ(letters(MadeKind::kBpe).load("alone").encode("a", true), (Ids{1, 3}));
  EXPECT_EQ(letters(MadeKind::kUnigram).load("alone").encode("a", true), (Ids{3, 2}));
}

TEST(SentencePiece, OtherModelsAreRefusedByName) {
  const auto message = [](const MadeSentencePiece& model) -> std::string {
    try {
      model.load("refused");
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_NE(message(MadeSentencePiece(MadeKind::kWord)).find("WORD"), std::string::npos);
  EXPECT_NE(message(MadeSentencePiece(MadeKind::kBpe).piece("", 0)).find("piece 3 is empty"), std::string::npos);
  EXPECT_NE(message(MadeSentencePiece(MadeKind::kBpe).piece("a", NAN)).find("token 3"), std::string::npos);
  EXPECT_NE(message(MadeSentencePiece(MadeKind::kBpe).piece(std::string(513, 'a'), 0)).find("513"), std::string::npos);
  EXPECT_NE(message(MadeSentencePiece(MadeKind::kUnigram).piece(std::string(513, 'a'), 0)).find("513"),
            std::string::npos);
}

// Text that goes on keeps its first space; text that begins loses the one that encoding added.
TEST(SentencePiece, StreamsKeepWhatContinues) {
  const Tokenizer t = test::committed_tokenizer("hf/tiny-llama2");
  const Ids ids = t.encode("the wild", false), more = t.encode("cat", false);
  const auto stream = [&](std::span<const int32_t> before) {
    StreamDecoder decoder(t, true, before);
    std::string text;
    for (const int32_t id : more) text += decoder.push(id);
    return text + decoder.finish();
  };
  EXPECT_EQ(stream({}), "cat");
  EXPECT_EQ(stream(Ids{1}), "cat");
  EXPECT_EQ(stream(ids), " cat");
  EXPECT_EQ(t.decode(Ids{1, more[0]}).substr(0, 4), "<s> ");
}

TEST(SentencePiece, EachBrokenByteIsReplaced) {
  const Tokenizer t = letters(MadeKind::kBpe).bytes().load("broken-bytes");
  const auto byte = [](int value) { return 7 + value; };
  EXPECT_EQ(t.decode(Ids{3, byte(0xe6), byte(0x97), 4}), "a\uFFFD\uFFFDb");
  EXPECT_EQ(t.decode(Ids{byte(0xe6), byte(0x97), byte(0xa5), byte(0xff)}), "日\uFFFD");
  StreamDecoder stream(t);
  EXPECT_EQ(stream.push(byte(0xe6)), "");
  EXPECT_EQ(stream.push(byte(0x97)), "");
  EXPECT_EQ(stream.push(byte(0xa5)), "日");
  EXPECT_EQ(stream.push(byte(0xe6)), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
}

// Cutting at spaces is a shortcut: it must not be taken where a token goes on after one.
TEST(SentencePiece, TokensMayCrossSpaces) {
  for (const MadeKind kind : {MadeKind::kBpe, MadeKind::kUnigram}) {
    const Tokenizer t = letters(kind).piece("▁b", -3).piece("a▁b", -1).piece("▁▁", -2).load("cross");
    EXPECT_EQ(cut(t, "ca b a b"), "c|a▁b|▁|a▁b");
  }
}

TEST(SentencePiece, MetaspaceSchemes) {
  nlohmann::json json = nlohmann::json::parse(R"({"added_tokens":[{"id":9,"content":"<x>","special":true}],
      "decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},
      "model":{"type":"BPE","byte_fallback":false,"vocab":{"a":0,"▁":1,"▁a":2,"<unk>":3},"merges":["▁ a"]}})");
  const auto with = [&](const char* metaspace) {
    json["pre_tokenizer"] = nlohmann::json::parse(metaspace);
    json["pre_tokenizer"]["type"] = "Metaspace";
    json["pre_tokenizer"]["replacement"] = "▁";
    return cut(test::load_tokenizer(json, "metaspace"), "a a<x>a<x> a");
  };
  EXPECT_EQ(with(R"({"prepend_scheme":"always"})"), "▁a|▁a|<x>|▁a|<x>|▁a");
  EXPECT_EQ(with(R"({"prepend_scheme":"first","split":false})"), "▁a|▁a|<x>|a|<x>|▁a");
  EXPECT_EQ(with(R"({"prepend_scheme":"never"})"), "a|▁a|<x>|a|<x>|▁a");
  EXPECT_EQ(with(R"({"add_prefix_space":false})"), "a|▁a|<x>|a|<x>|▁a");
  EXPECT_THROW(with(R"({"prepend_scheme":"sometimes"})"), Error);
}

// Without the scores of a tokenizer.model, GGUF's are made of the merges, and llama.cpp's way to merge gives the same.
TEST(SentencePiece, ScoresStandForMerges) {
  nlohmann::json json = nlohmann::json::parse(R"({"added_tokens":[{"id":0,"content":"<unk>","special":true}],
      "normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},"pre_tokenizer":null,
      "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
                 {"type":"ByteFallback"},{"type":"Fuse"}]},
      "model":{"type":"BPE","fuse_unk":true,"unk_token":"<unk>","byte_fallback":true,
               "vocab":{"<unk>":0,"a":1,"b":2,"▁":3,"ab":4,"ba":5,"aba":6,"▁a":7},
               "merges":["b a","▁ a","a b","ab a","a ba"]}})");
  const Tokenizer t = test::load_tokenizer(json, "scores"), lists = test::through_gguf(t, "scores", false);
  for (const char* text : {"abab", " ab", "a b aba", "babab", "é", "", "abéa"}) {
    EXPECT_EQ(lists.encode(text, false), t.encode(text, false)) << text;
    EXPECT_EQ(lists.decode(t.encode(text, false)), t.decode(t.encode(text, false)));
  }
  EXPECT_EQ(cut(t, "abab"), "aba|b");
}

TEST(SentencePiece, ByteTokensAreSpelledExactly) {
  EXPECT_EQ(byte_of_token("<0x41>"), 0x41);
  EXPECT_EQ(byte_of_token("<0xFF>"), 0xff);
  for (const char* text :
       {"<0x-1>", "<0x 1>", "<0xgg>", "<0x0a>", "<0x100>", "<0x1>", "<0x>", "", "<0x41", "0x41>>", "<0X41>"})
    EXPECT_EQ(byte_of_token(text), std::nullopt) << text;
}

}  // namespace
}  // namespace margay
