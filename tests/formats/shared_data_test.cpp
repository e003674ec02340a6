// Real vocabularies and other projects' files, from ../shared/data where that is present.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/pytorch.h"
#include "formats/safetensors.h"
#include "formats/tokenizer.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using test::unpacked;

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

class RealVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(RealVocabulary, GivesTheExpectedIds) {
  const std::string folder = unpacked("tokenizers");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const std::string path = folder + "/gguf-vocab/ggml-vocab-" + GetParam() + ".gguf";
  const Tokenizer tokenizer = Tokenizer::from_gguf(GgufFile(path));
  const auto inputs = cases(path + ".inp");
  std::ifstream expected(path + ".out");
  ASSERT_GT(inputs.size(), 40u);
  for (const std::string& input : inputs) {
    std::string line;
    ASSERT_TRUE(std::getline(expected, line));
    std::istringstream numbers(line);
    std::vector<int32_t> ids;
    for (int32_t id; numbers >> id;) ids.push_back(id);
    EXPECT_EQ(tokenizer.encode(input, false), ids) << input;
    // deepseek-coder has added tokens such as "ü", which Hugging Face's ByteLevel decoder takes for a byte.
    if (GetParam() == std::string("deepseek-coder")) continue;
    EXPECT_EQ(tokenizer.decode(ids), input);
  }
}

INSTANTIATE_TEST_SUITE_P(Gguf, RealVocabulary, testing::Values("gpt-2", "falcon", "starcoder", "deepseek-coder"));

TEST(SharedData, SentencePieceIsRefusedByName) {
  const std::string folder = unpacked("tokenizers");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const GgufFile file(folder + "/gguf-vocab/ggml-vocab-llama-spm.gguf");
  EXPECT_EQ(file.strings("tokenizer.ggml.tokens").size(), 32000u);
  EXPECT_THROW(Tokenizer::from_gguf(file), Error);
}

TEST(SharedData, PhiTokenizerJson) {
  const std::string folder = unpacked("tokenizers");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const Tokenizer tokenizer = Tokenizer::from_huggingface(folder + "/phi-2");
  const std::string text = "def f(x):\n        return x  # \t\u4f60\u597d <|endoftext|>";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, false)), text);
  EXPECT_EQ(tokenizer.eos(), std::vector<int32_t>{50256});
  EXPECT_EQ(tokenizer.encode("Hello world", false), (std::vector<int32_t>{15496, 995}));
}

TEST(SharedData, FilesOfOtherProjects) {
  const std::string folder = unpacked("parser-inputs");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/parser-inputs.tar.xz";
  const Safetensors layers(folder + "/burn/safetensors-tests/tests/multi_layer/multi_layer.safetensors");
  EXPECT_FALSE(layers.tensors().empty());
  EXPECT_FALSE(Safetensors(folder + "/weight-inspect/tiny.safetensors").tensors().empty());
  EXPECT_TRUE(GgufFile(folder + "/weight-inspect/empty.gguf").tensors().empty());
  EXPECT_THROW(GgufFile(folder + "/weight-inspect/tiny.gguf"), Error);  // announces data that is not there
}

TEST(SharedData, PyTorchFilesOfOtherProjects) {
  const std::string folder = unpacked("parser-inputs");
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
  const std::string folder = unpacked("parser-inputs"), path = test::scratch("changed.pt");
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
