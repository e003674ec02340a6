#include "runtime/importance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "convert/quantize.h"
#include "tests/convert/convert_data.h"

namespace margay {
namespace {

class Importance : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const test::Quiet quiet;
    path_ = test::scratch("importance-tiny.gguf");
    convert_model(test::data("hf/tiny-llama3"), path_, DType::F32, 1);
  }
  static std::vector<int32_t> tokens(size_t count) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(7 * i % 1000));
    return ids;
  }
  static std::string path_;
};
std::string Importance::path_;

TEST_F(Importance, EveryMatrixOfTheModelIsInIt) {
  const Model model(path_);
  Team team(2);
  int calls = 0;
  const ImportanceMatrix matrix = measure_importance(model, team, tokens(70), {32, 0}, [&] { ++calls; });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(matrix.chunks, 2);
  for (const TensorEntry& tensor : model.file.tensors()) {
    if (tensor.shape.size() != 2) continue;
    const auto found = matrix.entries.find(tensor.name);  // the tied embedding too, as the head
    ASSERT_NE(found, matrix.entries.end()) << tensor.name;
    EXPECT_EQ(static_cast<int64_t>(found->second.sums.size()), tensor.shape[1]) << tensor.name;
    EXPECT_EQ(found->second.counts, std::vector<double>{64}) << tensor.name;
  }
  EXPECT_EQ(matrix.entries.at("blk.1.attn_q.weight").sums, matrix.entries.at("blk.1.attn_v.weight").sums);
}

// The first layer's input by hand: the embedding, normalised.
TEST_F(Importance, SumsAreThoseOfTheInputs) {
  const Model model(path_);
  Team team(1);
  const ImportanceMatrix matrix = measure_importance(model, team, tokens(40), {16, 2}, [] {});
  std::vector<int32_t> ids = tokens(32);
  if (model.tokenizer.adds_bos() && model.tokenizer.bos()) ids[0] = ids[16] = *model.tokenizer.bos();
  const std::vector<float> table = test::values(model.file.tensor("token_embd.weight")),
                           gain = test::values(model.file.tensor("blk.0.attn_norm.weight"));
  const size_t width = gain.size();
  std::vector<double> expected(width);
  for (const int32_t id : ids) {
    const float* x = table.data() + static_cast<size_t>(id) * width;
    double mean = 0;
    for (size_t i = 0; i < width; ++i) mean += double{x[i]} * x[i] / static_cast<double>(width);
    for (size_t i = 0; i < width; ++i)
      expected[i] += std::pow(x[i] * gain[i] / std::sqrt(mean + double{model.config.norm_epsilon}), 2);
  }
  const std::vector<double>& sums = matrix.entries.at("blk.0.attn_k.weight").sums;
  for (size_t i = 0; i < width; ++i) EXPECT_NEAR(sums[i], expected[i], 1e-4 * expected[i]) << i;
}

TEST_F(Importance, TooShortATextIsRefused) {
  EXPECT_THROW(importance_windows(511, {}), Error);
  EXPECT_EQ(importance_windows(512 * 3 + 5, {}), 3);
  EXPECT_EQ(importance_windows(512 * 3, {512, 2}), 2);
}

}  // namespace
}  // namespace margay
