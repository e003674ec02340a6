// Tokenizers that are cut, flipped or lie: each must load or throw Error, and no text takes them long.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "formats/added_tokens.h"
#include "formats/charsmap.h"
#include "formats/gguf.h"
#include "formats/tiktoken.h"
#include "tests/formats/broken_files.h"
#include "tests/formats/golden_tokens.h"
#include "tests/formats/made_sentencepiece.h"
#include "tests/formats/made_tokenizer.h"

namespace margay {
namespace {

using test::MadeKind;
using test::MadeSentencePiece;
using test::survives;

constexpr const char* kText = "The 12 cats'  <s><|end|> \u00e9e\u0301\u3000\ufb01\n\u65e5\u2581 a";

void use(const Tokenizer& tokenizer) { tokenizer.decode(tokenizer.encode(kText, true)); }

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(BrokenTokenizer, ByteLevelJson) {
  nlohmann::json json = test::made_tokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  json["added_tokens"] = {{{"id", 256}, {"content", "<|end|>"}, {"special", true}, {"lstrip", true}}};
  json["pre_tokenizer"] = nlohmann::json::parse(R"({"type":"Sequence","pretokenizers":[
      {"type":"Split","pattern":{"Regex":"(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+"},
       "behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})");
  json["post_processor"] = nlohmann::json::parse(R"({"type":"TemplateProcessing","single":[{"SpecialToken":
      {"id":"<|end|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<|end|>":{"ids":[256]}}})");
  json["model"]["vocab"]["th"] = 257;
  json["model"]["merges"] = nlohmann::json::parse(R"([["t", "h"]])");
  test::load_tokenizer(json, "broken");
  const std::string folder = test::scratch("tokenizer-broken");
  survives(folder + "/tokenizer.json", json.dump(), 3000, [&] { use(Tokenizer::from_huggingface(folder)); });
}

TEST(BrokenTokenizer, UnigramJson) {
  auto json = nlohmann::json::parse(read_text_file(test::data("unigram/tokenizer.json")));
  auto& vocabulary = json["model"]["vocab"].get_ref<nlohmann::json::array_t&>();
  vocabulary.resize(60);
  const std::string path = test::scratch("broken-unigram.json");
  survives(path, json.dump(), 2000, [&] { use(Tokenizer::from_file(path)); });
}

TEST(BrokenTokenizer, CharacterBpeJson) {
  const auto json = nlohmann::json::parse(R"({"added_tokens":[{"id":0,"content":"<unk>","special":true}],
      "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"},
                    {"type":"Replace","pattern":{"String":" "},"content":"_"},{"type":"StripAccents"}]},
      "pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":false},
      "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},
                 {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
      "model":{"type":"BPE","fuse_unk":true,"unk_token":"<unk>","byte_fallback":true,
               "vocab":{"<unk>":0,"a":1,"t":2,"_":3,"at":4,"<0xC3>":5,"<0xA9>":6},"merges":["a t"]}})");
  const std::string path = test::scratch("broken-characters.json");
  survives(path, json.dump(), 2000, [&] { use(Tokenizer::from_file(path)); });
}

TEST(BrokenTokenizer, SentencePieceModels) {
  const std::string path = test::scratch("broken.model");
  for (const MadeKind kind : {MadeKind::kBpe, MadeKind::kUnigram}) {
    MadeSentencePiece model(kind);
    for (const char* piece : {"a", "c", "t", "s", "at", "cat", "▁", "▁cat"}) model.piece(piece, -1);
    model.piece("cats", 0, TokenType::kUserDefined).piece("<0xC3>", 0, TokenType::kByte);
    survives(path, model.text(), 2000, [&] { use(Tokenizer::from_file(path)); });
  }
  // One with a table of normalization.
  survives(path, read_text_file(test::data("unigram/tokenizer.model")), 1000, [&] { use(Tokenizer::from_file(path)); });
}

TEST(BrokenTokenizer, RankFiles) {
  const std::string path = test::scratch("broken.tiktoken");
  survives(path, "YQ== 0\nYg== 1\nYWI= 2\nYWJh 3\n", 3000, [&] { read_rank_file(read_text_file(path), path); });
}

TEST(BrokenTokenizer, GgufLists) {
  const std::string path = test::scratch("broken-lists.gguf");
  for (const MadeKind kind : {MadeKind::kBpe, MadeKind::kUnigram}) {
    const Tokenizer tokenizer =
        MadeSentencePiece(kind).piece("a", -1).piece("<0x41>", 0, TokenType::kByte).load("lists");
    GgufWriter writer;
    tokenizer.to_gguf(writer);
    writer.write(path, [](size_t, const GgufWriter::Sink&) {});
    survives(path, read_text_file(path), 2000, [&] { use(Tokenizer::from_gguf(GgufFile(path))); });
  }
}

TEST(BrokenTokenizer, RankFilesThatLie) {
  const auto message = [](const char* text) { return message_of([&] { read_rank_file(text, "ranks"); }); };
  EXPECT_EQ(message("YQ== 0\r\n\nYg== 1"), "no error");
  for (const char* text :
       {"", "YQ==\n", "YQ== x\n", "YQ= 0\n", " 0\n", "YQ== -1\n", "YQ== 0 0\n", "YQ== 99999999999999999999999\n",
        "YQ== 1\n", "YQ== 0\nYg== 0\n", "YQ== 0\nYQ== 1\n", "Y*== 0\n", "YQ== 0\n= 1\n"})
    EXPECT_NE(message(text), "no error") << text;
  const std::string path = test::scratch("few.model");
  test::put(path, "YQ== 0\nYg== 1\n");
  EXPECT_NE(message_of([&] { Tokenizer::from_file(path); }).find("2 tiktoken ranks"), std::string::npos);
}

TEST(BrokenTokenizer, RanksBecomeMerges) {
  // a, b, " ", ab, "ab ", "bab": the last merge of each with lower ranks only.
  const RankVocabulary vocabulary = read_rank_file("YQ== 0\nYg== 1\nIA== 2\nYWI= 3\nYWIg 4\nYmFi 5\nenk= 6\n", "ranks");
  EXPECT_EQ(vocabulary.tokens, (std::vector<std::string>{"a", "b", "Ġ", "ab", "abĠ", "bab", "zy"}));
  EXPECT_EQ(vocabulary.merges, (std::vector<std::string>{"a b", "ab Ġ", "b ab", "z y"}));
}

// A charsmap's offsets lead anywhere: within the file, or nowhere.
TEST(BrokenTokenizer, Charsmaps) {
  EXPECT_THROW(Charsmap("", "map"), Error);
  EXPECT_THROW(Charsmap(std::string("\4\0\0\0", 4), "map"), Error);
  EXPECT_THROW(Charsmap(std::string("\3\0\0\0abcd", 8), "map"), Error);
  // 256 units: the root leads to each byte, which has a value, some offset below 2000, and leads on.
  std::string blob("\0\4\0\0", 4);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t unit = (i ^ 1u) | 1u << 8 | 1u << 10;
    blob.append(reinterpret_cast<const char*>(&unit), sizeof unit);
  }
  const std::string text(10000, 'a');
  EXPECT_EQ(Charsmap(blob, "map").apply(text, 20000), text);  // no replacements: every offset is beyond the end
  EXPECT_THROW(Charsmap(blob + std::string(1 << 20, 'x'), "map").apply(text, 20000), Error);
}

TEST(BrokenTokenizer, NormalizersCannotExplode) {
  nlohmann::json json = test::made_tokenizer(), steps = nlohmann::json::array();
  for (int i = 0; i < 40; ++i)
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aaaa"}});
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const Tokenizer t = test::load_tokenizer(json, "explode");
  EXPECT_NE(message_of([&] { t.encode("a", false); }).find("normalizer"), std::string::npos);
}

// White space that tokens take is walked once, whatever the tokens are.
TEST(BrokenTokenizer, AddedTokensOfSpaces) {
  nlohmann::json json = test::made_tokenizer();
  for (const char* text : {" ", "\n"}) {
    const size_t id = 256 + json["added_tokens"].size();
    json["added_tokens"].push_back(
        {{"id", id}, {"content", text}, {"lstrip", true}, {"rstrip", true}, {"normalized", false}});
  }
  const Tokenizer t = test::load_tokenizer(json, "spaces");
  EXPECT_EQ(t.encode(std::string(1'000'000, ' ') + "x", false).size(), 2u);
  json["added_tokens"].push_back({{"id", 300}, {"content", std::string(2000, 'a')}});
  EXPECT_NE(message_of([&] { test::load_tokenizer(json, "long-added"); }).find("2000"), std::string::npos);
}

TEST(BrokenTokenizer, RepeatedCharactersAreNotQuadratic) {
  const std::string letters(1'000'000, 'e'), spaces(1'000'000, ' ');
  std::string kanji;
  for (int i = 0; i < 300'000; ++i) kanji += "日";
  for (const char* name : {"hf/tiny-llama3", "hf/tiny-llama2", "hf/tiny-llama2/tokenizer.model",
                           "unigram/tokenizer.model", "unigram/tokenizer.json"}) {
    const Tokenizer t = test::committed_tokenizer(name);
    EXPECT_EQ(t.decode(t.encode(letters, false)), letters) << name;
    for (const std::string& text : {spaces + "x", kanji}) EXPECT_FALSE(t.encode(text, false).empty()) << name;
  }
}

// A GGUF file with these lists; changes come last.
std::string lists_with(const std::function<void(GgufWriter&)>& change) {
  GgufWriter writer;
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "a", "b"});
  writer.set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -1, -2});
  writer.set("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 3, 1, 1});
  change(writer);
  const std::string path = test::scratch("made-lists.gguf");
  writer.write(path, [](size_t, const GgufWriter::Sink&) {});
  return message_of([&] { use(Tokenizer::from_gguf(GgufFile(path))); });
}

// CVE-2025-49847: the length of a token, cut to 32 bits, passed a check of the buffer's size.
TEST(BrokenTokenizer, Cve2025_49847_LongTokens) {
  const std::string huge(5'000'000, 'x');
  EXPECT_NE(lists_with([&](GgufWriter& writer) {
              writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "a", huge});
            }).find("5000000 bytes"),
            std::string::npos);
  nlohmann::json json = test::made_tokenizer();
  json["model"]["vocab"][huge] = 256;
  const Tokenizer t = test::load_tokenizer(json, "huge");
  EXPECT_EQ(t.token_bytes(256).size(), huge.size());
  EXPECT_EQ(t.decode(std::vector<int32_t>(3, 256)).size(), 3 * huge.size());
}

// CVE-2025-52566: more tokens than a signed size could say were written past a buffer. Texts become as many as they need.
TEST(BrokenTokenizer, Cve2025_52566_MoreTokensThanCharacters) {
  const Tokenizer t = test::committed_tokenizer("hf/tiny-llama2/tokenizer.model");
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "\U0001F999";
  const auto ids = t.encode(text, true);
  EXPECT_EQ(ids.size(), 2 + 4 * 100'000u);
  for (const int32_t id : ids) ASSERT_TRUE(id >= 0 && id < t.vocab_size());
  EXPECT_EQ(t.decode(ids, true), text);
}

// llama.cpp#25969: "<0x-1>" as a byte token wrote before a table of bytes.
TEST(BrokenTokenizer, LlamaCpp25969_ByteTokens) {
  EXPECT_EQ(
      lists_with([](GgufWriter& writer) {
        writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"<0x-1>", "<0xFFF>", "<0x", "<0xZZ>", "<0x61>"});
        writer.set("tokenizer.ggml.token_type", std::vector<int32_t>(5, 6));
      }),
      "no error");
}

// llama.cpp#26690: the count of a list was checked, the type of its elements was not.
TEST(BrokenTokenizer, LlamaCpp26690_ElementTypes) {
  EXPECT_EQ(lists_with([](GgufWriter&) {}), "no error");
  const auto refused = [](const char* key, auto value) {
    const std::string message = lists_with([&](GgufWriter& writer) { writer.set(key, value); });
    return message.find(key) != std::string::npos || message.find("tokens, but") != std::string::npos;
  };
  EXPECT_TRUE(refused("tokenizer.ggml.tokens", std::vector<int32_t>{1, 2, 3, 4, 5}));
  EXPECT_TRUE(refused("tokenizer.ggml.tokens", "abcde"));
  EXPECT_TRUE(refused("tokenizer.ggml.scores", std::vector<uint8_t>{1, 2, 3, 4, 5}));
  EXPECT_TRUE(refused("tokenizer.ggml.scores", std::vector<float>{1, 2, 3, 4}));
  EXPECT_TRUE(refused("tokenizer.ggml.scores", std::vector<float>(6)));
  EXPECT_TRUE(refused("tokenizer.ggml.token_type", std::vector<float>(5)));
  EXPECT_TRUE(refused("tokenizer.ggml.token_type", std::vector<int32_t>(4)));
  EXPECT_TRUE(refused("tokenizer.ggml.precompiled_charsmap", std::vector<std::string>{"a"}));
  EXPECT_TRUE(refused("tokenizer.ggml.add_space_prefix", "yes"));
  EXPECT_TRUE(refused("tokenizer.ggml.bos_token_id", "1"));
  EXPECT_EQ(lists_with([](GgufWriter& w) { w.set("tokenizer.ggml.bos_token_id", uint32_t{5000000}); }), "no error");
  EXPECT_EQ(lists_with([](GgufWriter& w) {
              w.set("tokenizer.ggml.token_type", std::vector<int32_t>{-7, 99, 0, 1, 1});
            }),
            "no error");
}

TEST(BrokenTokenizer, OtherModelsAreRefusedByName) {
  for (const char* model : {"bert", "rwkv", "no such", ""}) {
    const std::string message = lists_with([&](GgufWriter& writer) { writer.set("tokenizer.ggml.model", model); });
    EXPECT_NE(message.find(fmt::format("\"{}\"", model)), std::string::npos) << message;
  }
  EXPECT_NE(lists_with([](GgufWriter& w) { w.set("tokenizer.ggml.model", "bert"); }).find("WordPiece"),
            std::string::npos);
}

}  // namespace
}  // namespace margay
