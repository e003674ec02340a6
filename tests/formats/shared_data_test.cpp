// Real vocabularies and other projects' files, from ../shared/data where that is present.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/pytorch.h"
#include "formats/safetensors.h"
#include "formats/tokenizer.h"
#include "tests/formats/golden_tokens.h"
#include "tests/test_data.h"

namespace margay {
namespace {

std::vector<std::string> cases(const std::string& path) {
  const std::string text = read_text_file(path), mark = "\n__ggml_vocab_test__\n";
  std::vector<std::string> result;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = text.find(mark, start);
    result.push_back(text.substr(start, end - start));
    if (end == std::string::npos) break;
    start = end + mark.size();
    if (start == text.size()) break;  // the last mark ends the last case
  }
  return result;
}

using Ids = std::vector<int32_t>;

struct Case {
  std::string text;
  Ids ids;
};

// The cases of <path>.inp and <path>.out.
std::vector<Case> expected_cases(const std::string& path) {
  std::vector<Case> result;
  std::ifstream expected(path + ".out");
  for (std::string& text : cases(path + ".inp")) {
    std::string line;
    EXPECT_TRUE(std::getline(expected, line));
    std::istringstream numbers(line);
    result.push_back({std::move(text), {std::istream_iterator<int32_t>(numbers), {}}});
  }
  EXPECT_GT(result.size(), 40u);
  return result;
}

class RealVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(RealVocabulary, GivesTheExpectedIds) {
  const std::string folder = test::unpacked("tokenizers");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const std::string path = folder + "/gguf-vocab/ggml-vocab-" + GetParam() + ".gguf";
  const Tokenizer tokenizer = Tokenizer::from_gguf(GgufFile(path));
  for (const auto& [text, ids] : expected_cases(path)) {
    EXPECT_EQ(tokenizer.encode(text, false), ids) << text;
    // deepseek-coder has added tokens such as "ü", which Hugging Face's ByteLevel decoder takes for a byte.
    if (GetParam() == std::string("deepseek-coder")) continue;
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
}

INSTANTIATE_TEST_SUITE_P(Gguf, RealVocabulary,
                         testing::Values("gpt-2", "falcon", "starcoder", "deepseek-coder", "llama-spm", "phi-3"));

TEST(SharedData, TokenizerModelsOfLlama) {
  const std::string folder = test::unpacked("tokenizers");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const auto check = [&](const Tokenizer& tokenizer, const std::string& answers) {
    for (const auto& [text, ids] : expected_cases(folder + answers)) {
      EXPECT_EQ(tokenizer.encode(text, false), ids) << text;
      EXPECT_EQ(tokenizer.decode(ids), text);
    }
  };
  const Tokenizer llama2 = Tokenizer::from_file(folder + "/llama2-spm/tokenizer.model");
  check(llama2, "/gguf-vocab/ggml-vocab-llama-spm.gguf");
  check(test::through_gguf(llama2, "llama2-vocabulary", false), "/gguf-vocab/ggml-vocab-llama-spm.gguf");
  const Tokenizer llama3 = Tokenizer::from_file(folder + "/meta-llama3/tokenizer.model");
  check(llama3, "/meta-llama3/ggml-vocab-llama-bpe.gguf");
  check(test::through_gguf(llama3, "llama3-vocabulary", false), "/meta-llama3/ggml-vocab-llama-bpe.gguf");
  EXPECT_EQ(llama3.bos(), 128000);
  EXPECT_EQ(llama3.eos(), (Ids{128001, 128009}));
  EXPECT_EQ(llama3.token_text(128006), "<|start_header_id|>");
  EXPECT_EQ(llama3.token_text(128255), "<|reserved_special_token_250|>");
}

TEST(SharedData, TokenizerModelsOfMistral) {
  const std::string folder = test::unpacked("tokenizers");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const std::string text = "Hello  world, \u4f60\u597d\n\t\U0001F999";
  const Tokenizer v1 = Tokenizer::from_file(folder + "/mistral/tokenizer.model.v1");
  const Tokenizer v3 = Tokenizer::from_file(folder + "/mistral/mistral_instruct_tokenizer_240323.model.v3");
  // Of the Python package sentencepiece 0.2.3.
  EXPECT_EQ(v1.encode(text, true),
            (Ids{1, 22557, 28705, 1526, 28725, 28705, 29383, 29530, 13, 12, 243, 162, 169, 156}));
  EXPECT_EQ(v3.encode(text, true),
            (Ids{1, 23325, 29473, 2294, 29493, 29473, 30151, 30298, 781, 780, 1011, 930, 937, 924}));
  EXPECT_EQ(v1.decode(v1.encode(text, true), true), text);
  EXPECT_EQ(v3.encode("[INST]a", false).front(), *v3.find_token("[INST]"));
  EXPECT_TRUE(v3.is_special(*v3.find_token("[/INST]")));
}

TEST(SharedData, PhiTokenizerJson) {
  const std::string folder = test::unpacked("tokenizers");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const Tokenizer tokenizer = Tokenizer::from_huggingface(folder + "/phi-2");
  const std::string text = "def f(x):\n        return x  # \t\u4f60\u597d <|endoftext|>";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, false)), text);
  EXPECT_EQ(tokenizer.eos(), std::vector<int32_t>{50256});
  // GPT-2's answers, but for what Phi-2's added tokens of white space take.
  int same = 0;
  for (const auto& [input, ids] : expected_cases(folder + "/gguf-vocab/ggml-vocab-gpt-2.gguf")) {
    if (input.find("  ") != std::string::npos || input.find("\t\t") != std::string::npos) continue;
    EXPECT_EQ(tokenizer.encode(input, false), ids) << input;
    ++same;
  }
  EXPECT_EQ(same, 39);
}

TEST(SharedData, FilesOfOtherProjects) {
  const std::string folder = test::unpacked("parser-inputs");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/parser-inputs.tar.xz";
  const Safetensors layers(folder + "/burn/safetensors-tests/tests/multi_layer/multi_layer.safetensors");
  EXPECT_FALSE(layers.tensors().empty());
  EXPECT_FALSE(Safetensors(folder + "/weight-inspect/tiny.safetensors").tensors().empty());
  EXPECT_TRUE(GgufFile(folder + "/weight-inspect/empty.gguf").tensors().empty());
  EXPECT_THROW(GgufFile(folder + "/weight-inspect/tiny.gguf"), Error);  // announces data that is not there
}

TEST(SharedData, PyTorchFilesOfOtherProjects) {
  const std::string folder = test::unpacked("parser-inputs");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/parser-inputs.tar.xz";
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string path = entry.path(), name = entry.path().filename();
    if (!name.ends_with(".pt") && !name.ends_with(".pth")) continue;
    ++files;
    if (name == "broken.pt") {
      EXPECT_THROW(PyTorchFile{path}, Error);
      continue;
    }
    const PyTorchFile file(path);
    EXPECT_FALSE(file.tensors().empty() && file.unsupported().empty()) << path;
  }
  EXPECT_GE(files, 50);
  const std::string burn = folder + "/burn/src/pytorch/tests/reader/test_data/";
  const auto all = [&](const char* name) { return to_float(PyTorchFile(burn + name).tensors().at(0)); };
  EXPECT_EQ(all("float32.pt"), (std::vector<float>{1.0f, 2.5f, -3.7f, 0.0f}));
  EXPECT_EQ(all("float64.pt"), (std::vector<float>{1.1f, 2.2f, 3.3f}));
  EXPECT_EQ(to_int64(PyTorchFile(burn + "int64.pt").tensors().at(0)).at(0), 100);
  // Views into a storage of 10 and of 100 elements.
  const PyTorchFile offsets(burn + "legacy_with_offsets.pt"), views(burn + "legacy_uncloned_views.pt");
  for (const PyTorchFile* file : {&offsets, &views})
    for (const TensorEntry& tensor : file->tensors()) EXPECT_EQ(to_float(tensor).size(), tensor.bytes / 4);
  // A tensor [2, 3, 4] whose elements lie in the order of their first index.
  std::vector<int64_t> count(24);
  std::iota(count.begin(), count.end(), 1);
  EXPECT_EQ(to_int64(PyTorchFile(folder + "/candle/fortran_tensor_3d.pth").tensors().at(0)), count);
}

TEST(SharedData, ChangedPyTorchFilesLoadOrAreRefused) {
  const std::string folder = test::unpacked("parser-inputs"), path = test::scratch("changed.pt");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/parser-inputs.tar.xz";
  std::mt19937 random(7);
  int refused = 0, files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".pt" && entry.path().extension() != ".pth") continue;
    const std::string good = read_text_file(entry.path());
    for (int i = 0; i < 50; ++i, ++files) {
      std::string bytes = good;
      for (int flips = 0; flips <= i % 3; ++flips)
        bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
      if (i % 10 == 0) bytes.resize(random() % bytes.size());
      std::remove(path.c_str());
      std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      try {
        const PyTorchFile file(path);
        for (const TensorEntry& tensor : file.tensors()) ASSERT_GE(tensor.elements(), 0);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GE(files, 2500);
  EXPECT_GT(refused, files / 20);
}

}  // namespace
}  // namespace margay
