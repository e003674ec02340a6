// Imported models against the logits that transformers computes from the same folder.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "convert/import_huggingface.h"
#include "models/model.h"
#include "ops/program.h"
#include "tests/convert/convert_data.h"
#include "tests/convert/rounded_rope.h"

namespace margay::test {
namespace {

// Logits [T, V] of one sequence, in the plain forward pass.
std::vector<float> logits_of(const Model& model, const WeightSet& weights, const std::vector<int64_t>& ids) {
  BuildOptions options;
  options.tokens = static_cast<int64_t>(ids.size());
  const auto built = build_model(model.config, model.linear, weights, options);
  Team team(2);
  const Tensor outputs[] = {built->logits};
  Program program(built->graph, outputs, team);
  for (size_t i = 0; i < ids.size(); ++i) {
    program.data<int32_t>(built->tokens)[i] = static_cast<int32_t>(ids[i]);
    program.data<int32_t>(built->positions)[i] = static_cast<int32_t>(i);
  }
  program.run();
  const float* logits = program.data<float>(built->logits);
  return {logits, logits + ids.size() * static_cast<size_t>(model.config.vocabulary)};
}

// The last rows of the model's logits against `expected` [1, rows, V].
double largest_difference(const Model& model, const WeightSet& weights, const TensorEntry& ids,
                          const TensorEntry& expected) {
  const std::vector<float> got = logits_of(model, weights, to_int64(ids)), want = to_float(expected);
  EXPECT_EQ(expected.shape.back(), model.config.vocabulary);
  EXPECT_GE(got.size(), want.size());
  const size_t skip = got.size() - want.size();
  double largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(got[skip + i]) - want[i]);
    largest = std::isnan(difference) ? HUGE_VAL : std::max(largest, difference);
  }
  return largest;
}

struct Fixture {
  std::string folder, golden;
  const char* logits;
  bool rounded_rope;
};

double import_and_compare(const Fixture& fixture, DType type) {
  const Quiet quiet;
  const std::string out = scratch(fmt::format("golden-{}-{}.gguf", fixture.logits, type_name(type)));
  import_huggingface(fixture.folder, out, type, 2);
  const Model model(out);
  const Safetensors expected(fixture.golden);
  WeightSet weights = model.weights;
  const std::vector<float> factors = rounded_rope_factors(model.config, weights);
  if (fixture.rounded_rope) set_rope_factors(weights, factors);
  return largest_difference(model, weights, expected.tensor("input_ids"), expected.tensor(fixture.logits));
}

TEST(Golden, TinyLlama3) {
  const std::string folder = data("hf/tiny-llama3");
  const Fixture fixture{folder, folder + "/golden.safetensors", "logits", true};
  EXPECT_LT(import_and_compare(fixture, DType::F32), 1e-3);
  EXPECT_LT(import_and_compare(fixture, DType::BF16), 1e-3);
  EXPECT_LT(import_and_compare(fixture, DType::F16), 1e-2);
  EXPECT_LT(import_and_compare(fixture, DType::Q8_0), 4);  // random weights: logits of +-16 that small changes move
}

TEST(Golden, Base16m) {
  const std::string archive = std::string(MARGAY_SOURCE) + "/../shared/data/base-16m.tar.xz";
  if (!file_exists(archive)) GTEST_SKIP() << archive << " is not here; the tiny models are tested without it";
  const std::string folder = scratch("base-16m");
  if (!file_exists(folder + "/tiny/model.safetensors")) {
    std::filesystem::create_directories(folder);
    const std::string unpack = fmt::format("tar -xJf '{}' -C '{}'", archive, folder);
    ASSERT_EQ(std::system(unpack.c_str()), 0) << unpack;
  }
  const Fixture fixture{folder + "/tiny", data("hf/base-16m/golden.safetensors"), "logits_last64", false};
  EXPECT_LT(import_and_compare(fixture, DType::BF16), 1e-3);
  EXPECT_LT(import_and_compare(fixture, DType::Q8_0), 1);
}

}  // namespace
}  // namespace margay::test
