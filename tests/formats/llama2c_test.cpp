#include "formats/llama2c.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/gguf.h"
#include "tests/formats/broken_files.h"
#include "tests/formats/made_pytorch.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using test::put;
using test::raw;

constexpr int64_t kWidth = 8, kFeedForward = 12, kLayers = 2, kHeads = 2, kKvHeads = 1, kVocabulary = 261, kContext = 6;

std::string header(int32_t vocabulary) {
  std::string bytes;
  for (const int64_t value : {kWidth, kFeedForward, kLayers, kHeads, kKvHeads})
    bytes += raw(static_cast<int32_t>(value));
  return bytes + raw(vocabulary) + raw(static_cast<int32_t>(kContext));
}

// Each tensor's elements are its number in the file.
std::string legacy(bool own_head) {
  std::string bytes = header(own_head ? -kVocabulary : kVocabulary);
  float value = 0;
  const auto add = [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i) bytes += raw(value);
    value += 1;
  };
  const int64_t c = kWidth, kv = c / kHeads * kKvHeads;
  add(kVocabulary * c);
  for (const int64_t count : {c, c * c, kv * c, kv * c, c * c, c, kFeedForward * c, kFeedForward * c, kFeedForward * c})
    for (int64_t l = 0; l < kLayers; ++l) add(count);
  add(c);
  add(kContext * c / kHeads);  // RoPE's table
  if (own_head) add(kVocabulary * c);
  return bytes;
}

std::string tokenizer() {
  std::string bytes = raw(int32_t{9});
  for (int64_t id = 0; id < kVocabulary; ++id) {
    std::string piece = id == 0   ? "<unk>"
                        : id == 1 ? "\n<s>\n"
                        : id == 2 ? "\n</s>\n"
                                  : fmt::format("<0x{:02X}>", id - 3);
    if (id >= 259) piece = id == 259 ? " t" : "he";
    bytes += raw(static_cast<float>(-id)) + raw(static_cast<int32_t>(piece.size())) + piece;
  }
  return bytes;
}

TEST(Llama2c, LegacyLayout) {
  const std::string path = test::scratch("llama2c.bin");
  for (const bool own_head : {false, true}) {
    put(path, legacy(own_head));
    const Llama2c file(path);
    EXPECT_EQ(file.vocabulary, kVocabulary);
    EXPECT_EQ(file.context, kContext);
    EXPECT_EQ(file.tensor("blk.1.attn_norm.weight").shape, std::vector<int64_t>{kWidth});
    EXPECT_EQ(to_float(file.tensor("blk.1.attn_k.weight"))[0], 6);
    EXPECT_EQ(file.tensor("blk.0.attn_k.weight").shape, (std::vector<int64_t>{kWidth / kHeads, kWidth}));
    EXPECT_EQ(to_float(file.tensor("blk.0.ffn_down.weight"))[0], 15);
    EXPECT_EQ(to_float(file.tensor("output_norm.weight"))[0], 19);
    EXPECT_EQ(file.has("output.weight"), own_head);
    if (own_head) EXPECT_EQ(to_float(file.tensor("output.weight"))[0], 21);
  }
}

TEST(Llama2c, TokenizerBecomesASentencePieceOne) {
  const std::string path = test::scratch("llama2c-tokenizer.bin"), gguf = test::scratch("llama2c-tokenizer.gguf");
  put(path, tokenizer());
  GgufWriter writer;
  write_llama2c_tokenizer(path, kVocabulary, writer);
  writer.write(gguf, [](size_t, const GgufWriter::Sink&) {});
  const GgufFile file(gguf);
  EXPECT_EQ(file.string("tokenizer.ggml.model"), "llama");
  const auto pieces = file.strings("tokenizer.ggml.tokens");
  EXPECT_EQ(pieces[1], "<s>");
  EXPECT_EQ(pieces[3], "<0x00>");
  EXPECT_EQ(pieces[259], "\u2581t");
  EXPECT_EQ(file.floats("tokenizer.ggml.scores")[260], -260);
  const auto types = file.integers("tokenizer.ggml.token_type");
  EXPECT_EQ((std::vector<int64_t>{types[0], types[1], types[2], types[3], types[258], types[259]}),
            (std::vector<int64_t>{2, 3, 3, 6, 6, 1}));
  for (const int64_t other : {kVocabulary - 1, kVocabulary + 1})
    EXPECT_THROW(write_llama2c_tokenizer(path, other, writer), Error);
}

TEST(Llama2c, WhatDoesNotFitIsRefused) {
  const std::string path = test::scratch("llama2c-lie.bin");
  const auto recognized = [&](const std::string& bytes) {
    put(path, bytes);
    return Llama2c::recognizes(MappedFile(path));
  };
  const std::string good = legacy(false);
  EXPECT_TRUE(recognized(good));
  EXPECT_FALSE(recognized(good + "x"));
  EXPECT_FALSE(recognized(good.substr(0, good.size() - 4)));
  EXPECT_THROW(Llama2c{path}, Error);
  for (size_t field = 0; field < 7; ++field)
    for (const int32_t value : {0, -1, INT32_MIN, INT32_MAX}) {
      std::string bytes = good;
      bytes.replace(4 * field, 4, raw(value));
      EXPECT_FALSE(recognized(bytes)) << field << " " << value;
    }
  const std::string quantized = "24ka" + raw(int32_t{2}) + header(kVocabulary) + std::string(300, '\0');
  EXPECT_TRUE(recognized(quantized));
  EXPECT_THROW(Llama2c{path}, Error);
}

TEST(BrokenInput, Llama2c) {
  const std::string path = test::scratch("broken-llama2c.bin");
  test::survives(path, legacy(false), 1000, [&] { ASSERT_GE(test::touch(Llama2c(path).tensors()), 0u); });
}

TEST(BrokenInput, Llama2cTokenizer) {
  const std::string path = test::scratch("broken-llama2c-tokenizer.bin");
  test::survives(path, tokenizer(), 1000, [&] {
    GgufWriter writer;
    write_llama2c_tokenizer(path, kVocabulary, writer);
  });
}

}  // namespace
}  // namespace margay
