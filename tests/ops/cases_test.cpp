// Runs every case of every op: kernel against definition in double, on every instruction set of this machine; one thread
// against three, bit for bit; gradients against central differences of the definition.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "ops/cases.h"
#include "ops/program.h"
#include "ops/reference.h"

namespace margay {
namespace {

constexpr uint64_t kSeed = 20261123;

std::vector<float> output_of(const Program& program, Tensor tensor) {
  const float* values = program.data<float>(tensor);
  return {values, values + elements(tensor.shape())};
}

// Largest difference relative to the largest magnitude of the expected values.
double relative_difference(const std::vector<double>& expected, const std::vector<float>& actual) {
  double largest = 1e-30, difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(actual[i])) return INFINITY;
    largest = std::max(largest, std::abs(expected[i]));
    difference = std::max(difference, std::abs(expected[i] - static_cast<double>(actual[i])));
  }
  return difference / largest;
}

struct Recorded {
  CaseGraph leaves{kSeed};
  std::vector<Tensor> outputs;  // float32 ones
};

std::unique_ptr<Recorded> record(const Case& test) {
  auto recorded = std::make_unique<Recorded>();
  for (const Tensor& output : test.build(recorded->leaves))
    if (output.dtype() == DType::F32) recorded->outputs.push_back(output);
  return recorded;
}

// Fresh leaves for every run: some ops update theirs in place.
std::vector<std::vector<float>> run_kernels(const Case& test, Isa isa, int threads) {
  const auto recorded = record(test);
  Team team(threads);
  Program program(recorded->leaves.graph, recorded->outputs, team, isa);
  program.run();
  std::vector<std::vector<float>> values;
  for (const Tensor& output : recorded->outputs) values.push_back(output_of(program, output));
  return values;
}

// loss = sum over outputs of <output, fixed random weights>
Tensor random_loss(Recorded& recorded) {
  Tensor loss;
  for (const Tensor& output : recorded.outputs) {
    const Tensor flat = reshape(output, make_shape({elements(output.shape())}));
    const Tensor weights = recorded.leaves.random({elements(output.shape())}, -1, 1, false);
    const Tensor term = reduce(multiply(flat, weights), ReduceKind::kSum, 0);
    loss = loss ? add(loss, term) : term;
  }
  return loss;
}

class CaseTest : public testing::TestWithParam<Case> {};
class GradientTest : public testing::TestWithParam<Case> {};

TEST_P(CaseTest, KernelEqualsDefinition) {
  const Case& test = GetParam();
  const auto recorded = record(test);
  ReferenceEvaluator reference(recorded->leaves.graph);
  std::vector<std::vector<double>> expected;
  for (const Tensor& output : recorded->outputs) expected.push_back(reference.evaluate(output).data);
  for (int i = 0; i < kIsaCount; ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (!isa_available(isa)) continue;
    const auto one = run_kernels(test, isa, 1), three = run_kernels(test, isa, 3);
    for (size_t o = 0; o < one.size(); ++o) {
      EXPECT_LE(relative_difference(expected[o], one[o]), test.tolerance) << isa_name(isa) << ", output " << o;
      EXPECT_EQ(0, std::memcmp(one[o].data(), three[o].data(), one[o].size() * sizeof(float)))
          << isa_name(isa) << ", output " << o << ": 3 threads give other bits than 1";
    }
  }
}

TEST_P(GradientTest, EqualsCentralDifferences) {
  const Case& test = GetParam();
  const auto recorded = record(test);
  const std::vector<Tensor> leaves = recorded->leaves.differentiable();
  const Tensor loss = random_loss(*recorded);
  const std::vector<Tensor> gradient = gradients(loss, leaves);

  ReferenceEvaluator reference(recorded->leaves.graph);
  std::vector<std::vector<double>> expected(leaves.size());
  std::vector<std::vector<int64_t>> sampled(leaves.size());
  for (size_t l = 0; l < leaves.size(); ++l) {
    const int64_t count = elements(leaves[l].shape()), step = std::max<int64_t>(1, count / 24);
    const float* values = static_cast<const float*>(recorded->leaves.leaf_data(leaves[l]));
    for (int64_t i = 0; i < count; i += step) {
      const double h = 1e-5;
      double sides[2];
      for (int side = 0; side < 2; ++side) {
        reference.reset();
        reference.clear_overrides();
        reference.override_element(leaves[l], i, static_cast<double>(values[i]) + (side ? h : -h));
        sides[side] = reference.evaluate(loss).data[0];
      }
      expected[l].push_back((sides[1] - sides[0]) / (2 * h));
      sampled[l].push_back(i);
    }
  }
  for (int isa_index = 0; isa_index < kIsaCount; ++isa_index) {
    const Isa isa = static_cast<Isa>(isa_index);
    if (!isa_available(isa)) continue;
    std::vector<std::vector<float>> one;
    for (const int threads : {1, 3}) {
      Team team(threads);
      Program program(recorded->leaves.graph, gradient, team, isa);
      program.run();
      for (size_t l = 0; l < leaves.size(); ++l) {
        const std::vector<float> all = output_of(program, gradient[l]);
        if (threads == 3) {
          EXPECT_EQ(0, std::memcmp(one[l].data(), all.data(), all.size() * sizeof(float)))
              << isa_name(isa) << ", leaf " << l << ": 3 threads give other bits than 1";
          continue;
        }
        one.push_back(all);
        std::vector<float> actual;
        for (const int64_t i : sampled[l]) actual.push_back(all[static_cast<size_t>(i)]);
        EXPECT_LE(relative_difference(expected[l], actual), test.gradient_tolerance) << isa_name(isa) << ", leaf " << l;
      }
    }
  }
}

// Those that are no mere benchmarks; with_gradient: those whose gradient can be checked.
std::vector<Case> test_cases(bool with_gradient) {
  std::vector<Case> cases;
  for (Case& test : all_cases()) {
    if (test.bench || (with_gradient && (!test.gradient || record(test)->leaves.differentiable().empty()))) continue;
    cases.push_back(std::move(test));
  }
  return cases;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = fmt::format("{}_{}", info.index, info.param.name);
  for (char& c : name)
    if (!isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Ops, CaseTest, testing::ValuesIn(test_cases(false)), case_name);
INSTANTIATE_TEST_SUITE_P(Ops, GradientTest, testing::ValuesIn(test_cases(true)), case_name);

}  // namespace

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

}  // namespace margay
