// The cases of an op are its only test and bench code: each ops/<folder>/cases.cpp adds some, and the harness
// (tests/ops, bench/ops) runs them all: kernel against definition in double, every instruction set, gradients against
// central differences, one thread against three.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ops/ops.h"

namespace margay {

// A graph with random leaves. The same seed gives the same leaves.
class CaseGraph {
 public:
  explicit CaseGraph(uint64_t seed) : seed_(seed) {}
  Graph graph;

  // A float32 weight, uniform in [low, high). Differentiable leaves take part in the gradient check.
  Tensor random(std::initializer_list<int64_t> shape, float low = -1, float high = 1, bool differentiable = true);
  // A weight of any type, made from uniform random floats by its quantizer.
  Tensor random_weight(std::initializer_list<int64_t> shape, DType dtype, float low = -1, float high = 1);
  Tensor integers(std::initializer_list<int64_t> shape, int32_t low, int32_t high);  // I32 in [low, high)
  Tensor integers(std::initializer_list<int64_t> shape, std::vector<int32_t> values);

  const std::vector<Tensor>& differentiable() const { return differentiable_; }
  void* leaf_data(Tensor leaf) const { return const_cast<void*>(graph.value(leaf.id).data); }

 private:
  uint64_t seed_;
  std::vector<Tensor> differentiable_;
  std::vector<std::unique_ptr<char[]>> memory_;
};

struct Case {
  std::string name;                                            // "rms_norm 3x37"
  std::function<std::vector<Tensor>(CaseGraph& graph)> build;  // returns the outputs to compare
  double tolerance = 1e-5;           // largest difference, relative to the output's largest magnitude
  bool gradient = true;              // check the vjp with respect to the differentiable leaves
  double gradient_tolerance = 1e-4;  // the same for gradients
  bool bench = false;                // also a benchmark: a shape of a real model
};

using CaseList = std::vector<Case>;

// All cases of all ops; each folder with ops defines add_<folder>_cases(CaseList&), listed in ops/cases.cpp.
CaseList all_cases();

}  // namespace margay
