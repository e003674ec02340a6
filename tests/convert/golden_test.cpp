// Imported models against the logits that transformers computes from the same folder.
#include "convert/import_huggingface.h"
#include "models/model.h"
#include "ops/program.h"
#include "tests/convert/convert_data.h"
#include "tests/convert/rounded_rope.h"
#include "tests/convert/tiny_checkpoints.h"

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

struct Fixture {
  std::string folder, golden;
  const char* logits;
  DType rope = DType::F32;  // to which the reference rounded RoPE's frequencies
};

double import_and_compare(const Fixture& fixture, DType type) {
  const Quiet quiet;
  const std::string out = own_scratch(
      fmt::format("golden-{}-{}.gguf", std::filesystem::path(fixture.folder).filename().string(), type_name(type)));
  import_huggingface(fixture.folder, out, type, 2);
  const Model model(out);
  const Safetensors expected(fixture.golden);
  WeightSet weights = model.weights;
  const std::vector<float> factors = rounded_rope_factors(model.config, weights, fixture.rope);
  if (fixture.rope != DType::F32) set_rope_factors(weights, factors);
  const TensorEntry& want = expected.tensor(fixture.logits);  // [1, rows, V], of the last tokens
  EXPECT_EQ(want.shape.back(), model.config.vocabulary);
  return largest_difference(logits_of(model, weights, to_int64(expected.tensor("input_ids"))), to_float(want));
}

TEST(Golden, TinyLlama3) {
  const std::string folder = data("hf/tiny-llama3");
  const Fixture fixture{folder, folder + "/golden.safetensors", "logits", DType::BF16};
  EXPECT_LT(import_and_compare(fixture, DType::F32), 1e-3);
  EXPECT_LT(import_and_compare(fixture, DType::BF16), 1e-3);
  EXPECT_LT(import_and_compare(fixture, DType::F16), 1e-2);
  EXPECT_LT(import_and_compare(fixture, DType::Q8_0), 4);  // random weights: logits of +-16 that small changes move
}

class GoldenFixture : public testing::TestWithParam<std::pair<const char*, DType>> {};

TEST_P(GoldenFixture, HasTheLogitsOfTransformers) {
  const std::string fixtures = unpacked("fixtures");
  if (fixtures.empty()) GTEST_SKIP() << "needs ../shared/data/fixtures.tar.xz";
  const auto& [name, rope] = GetParam();
  const TinyCheckpoint checkpoint{name, fixtures + "/hf/tiny-" + name};
  const Fixture fixture{ready_folder(checkpoint), checkpoint.folder + "/golden.safetensors", "logits", rope};
  EXPECT_LT(import_and_compare(fixture, DType::F32), 1e-3);
  // One answer however the text is cut; Mistral's window of 48 ends within it.
  const Model model(import_checkpoint(checkpoint));
  const std::vector<int32_t> ids = golden_ids(checkpoint);
  const std::vector<float> whole = session_logits(model, ids, static_cast<int64_t>(ids.size()), 0);
  EXPECT_LT(largest_difference(session_logits(model, ids, 1, 0), whole), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Shared, GoldenFixture,
                         testing::Values(std::pair{"llama2", DType::F16}, std::pair{"llama3", DType::BF16},
                                         std::pair{"mistral", DType::F32}, std::pair{"phi", DType::F16},
                                         std::pair{"qwen2", DType::BF16}),
                         [](const auto& info) { return std::string(info.param.first); });

TEST(Golden, Base16m) {
  const std::string folder = unpacked("base-16m");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/base-16m.tar.xz";
  const Fixture fixture{folder + "/tiny", data("hf/base-16m/golden.safetensors"), "logits_last64"};
  EXPECT_LT(import_and_compare(fixture, DType::BF16), 1e-3);
  EXPECT_LT(import_and_compare(fixture, DType::Q8_0), 1);
}

}  // namespace
}  // namespace margay::test
