#include "formats/importance_matrix.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/test_data.h"

namespace margay {
namespace {

ImportanceMatrix sample() {
  ImportanceMatrix matrix;
  matrix.entries["blk.0.attn_q.weight"] = {{1, 2, 3, 10}, {8}};
  matrix.entries["blk.0.ffn_up.weight"] = {{0, 0, 0}, {8}};
  matrix.entries["blk.0.experts.weight"] = {{1, 2, 3, 4}, {8, 4}};
  matrix.datasets = {"a.txt", "b.txt"};
  matrix.chunks = 5;
  matrix.chunk_tokens = 512;
  return matrix;
}

void append(std::string& bytes, int32_t value) { bytes.append(reinterpret_cast<const char*>(&value), 4); }
void append(std::string& bytes, std::string_view text) {
  append(bytes, static_cast<int32_t>(text.size()));
  bytes += text;
}

// A .dat file as llama.cpp wrote it: mean squares times the number of windows.
std::string legacy() {
  std::string bytes;
  append(bytes, 2);
  for (const char* name : {"blk.0.attn_q.weight", "output.weight"}) {
    append(bytes, std::string_view(name));
    append(bytes, 3);  // windows
    append(bytes, 4);  // columns
    for (const float value : {3.f, 6.f, 9.f, 30.f}) bytes.append(reinterpret_cast<const char*>(&value), 4);
  }
  append(bytes, 3);
  append(bytes, std::string_view("books.txt"));
  return bytes;
}

TEST(ImportanceMatrix, WrittenAndRead) {
  const std::string path = test::scratch("matrix.gguf");
  write_importance_matrix(path, sample());
  const ImportanceMatrix read = read_importance_matrix(path), expected = sample();
  ASSERT_EQ(read.entries.size(), expected.entries.size());
  for (const auto& [name, entry] : expected.entries) {
    EXPECT_EQ(read.entries.at(name).sums, entry.sums);
    EXPECT_EQ(read.entries.at(name).counts, entry.counts);
  }
  EXPECT_EQ(read.datasets, expected.datasets);
  EXPECT_EQ(read.chunks, 5);
  EXPECT_EQ(read.chunk_tokens, 512);
  EXPECT_EQ(read.origin, "matrix.gguf");
}

TEST(ImportanceMatrix, LlamaCppsOlderFiles) {
  const std::string path = test::scratch("matrix.dat");
  write_text_file(path, legacy());
  const ImportanceMatrix read = read_importance_matrix(path);
  EXPECT_EQ(read.entries.size(), 2u);
  EXPECT_EQ(read.chunks, 3);
  EXPECT_EQ(read.datasets, std::vector<std::string>{"books.txt"});
  EXPECT_EQ(read.weights("output.weight", 4), (std::vector<float>{0.25f, 0.5f, 0.75f, 2.5f}));
  const std::string whole = legacy();
  write_text_file(path, whole.substr(0, whole.size() - 17));  // the oldest end after the entries
  EXPECT_EQ(read_importance_matrix(path).entries.size(), 2u);
}

TEST(ImportanceMatrix, WeightsAverageOne) {
  const ImportanceMatrix matrix = sample();
  EXPECT_EQ(matrix.weights("blk.0.attn_q.weight", 4), (std::vector<float>{0.25f, 0.5f, 0.75f, 2.5f}));
  EXPECT_TRUE(matrix.weights("blk.0.ffn_up.weight", 3).empty()) << "all zero: says nothing";
  EXPECT_TRUE(matrix.weights("blk.7.attn_q.weight", 4).empty());
  EXPECT_THROW(matrix.weights("blk.0.attn_q.weight", 5), Error);
  EXPECT_THROW(matrix.weights("blk.0.experts.weight", 2), Error);
}

// Cut anywhere and with bytes changed, a file gives a matrix or an Error.
TEST(ImportanceMatrix, DamagedFiles) {
  const std::string path = test::scratch("damaged-matrix"), gguf = test::scratch("whole-matrix.gguf");
  write_importance_matrix(gguf, sample());
  int refused = 0;
  for (const std::string& whole : {legacy(), read_text_file(gguf)}) {
    const auto attempt = [&](const std::string& bytes) {
      write_text_file(path, bytes);
      try {
        EXPECT_FALSE(read_importance_matrix(path).entries.empty());
      } catch (const Error&) {
        ++refused;
      }
    };
    for (size_t size = 0; size < whole.size(); ++size) attempt(whole.substr(0, size));
    Random random(5);
    for (int i = 0; i < 500; ++i) {
      std::string changed = whole;
      for (int k = 0; k < 3; ++k) changed[random.below(changed.size())] = static_cast<char>(random.below(256));
      attempt(changed);
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(ImportanceMatrix, SaysWhatIsWrong) {
  const auto error = [](const std::string& path) -> std::string {
    try {
      read_importance_matrix(path);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(error(std::string(MARGAY_SOURCE) + "/models/bundled/base-16m-q8_0.gguf").find("no importance matrix"),
            std::string::npos);
  EXPECT_NE(error(std::string(MARGAY_SOURCE) + "/LICENSE").find("neither GGUF nor an importance matrix"),
            std::string::npos);
  ImportanceMatrix negative = sample();
  negative.entries["blk.0.attn_q.weight"].sums[2] = -1;
  write_importance_matrix(test::scratch("negative.gguf"), negative);
  EXPECT_NE(error(test::scratch("negative.gguf")).find("blk.0.attn_q.weight holds -1"), std::string::npos);
}

}  // namespace
}  // namespace margay
