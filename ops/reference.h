// The slow twin of a program: evaluates a graph in double, every composite op through its definition in simpler ops.
#pragma once
#include <map>
#include <vector>

#include "ops/graph.h"

namespace margay {

class ReferenceEvaluator {
 public:
  // Appends the definitions of composite ops to `graph` as it meets them.
  explicit ReferenceEvaluator(Graph& graph) : graph_(graph) {}

  // Replaces a leaf's value: element `index` becomes `value` (for central differences); clear_overrides() undoes it.
  void override_element(Tensor leaf, int64_t index, double value);
  void clear_overrides() { overrides_.clear(); }
  // The value of `tensor`. Throws Error for an op without a definition.
  const ReferenceValue& evaluate(Tensor tensor);
  void reset() { values_.clear(); }  // before the next evaluation with other overrides

 private:
  ReferenceValue leaf(int32_t id) const;
  void compute(int32_t node);

  Graph& graph_;
  std::map<int32_t, std::vector<Tensor>> composed_;  // by node
  std::map<int32_t, ReferenceValue> values_;
  std::map<int32_t, std::map<int64_t, double>> overrides_;
};

}  // namespace margay
