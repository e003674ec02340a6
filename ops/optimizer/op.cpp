// accumulate and adamw: the only ops that change a weight's memory.
#include <cmath>

#include "ops/ops.h"

namespace margay {
namespace {

double update_cost(const Graph& graph, const Node& node) {
  const double count = static_cast<double>(elements(graph.value(node.inputs[0]).shape));
  return count * (node.op == OpId::AdamW ? 0.8 : 0.3);
}

// --- accumulate: (accumulator, x) -----------------------------------------------------------------------------------
void accumulate_shape(ShapeRule& rule) {
  rule.check(rule.in(0).dtype == DType::F32 && rule.in(1).dtype == DType::F32, "elements must be float32");
  rule.check(rule.shape(0) == rule.shape(1), "both inputs must have one shape");
  rule.out_alias(0);
}

void accumulate_reference(const Reference& r) {
  const double factor = static_cast<double>(r.node.param<AccumulateParams>().factor);
  for (size_t i = 0; i < r.in[0]->data.size(); ++i) r.out[0]->data[i] = r.in[0]->data[i] + factor * r.in[1]->data[i];
}

// --- adamw: (parameter, gradient, m, v, hyper) -> parameter, m, v ---------------------------------------------------
void adamw_shape(ShapeRule& rule) {
  for (int i = 0; i < rule.inputs(); ++i) rule.check(rule.in(i).dtype == DType::F32, "elements must be float32");
  for (int i = 1; i < 4; ++i)
    rule.check(rule.shape(i) == rule.shape(0), "parameter, gradient and both moments must have one shape");
  rule.check(elements(rule.shape(4)) == 2, "hyper must be the learning rate and the step");
  rule.out_alias(0);
  rule.out_alias(2);
  rule.out_alias(3);
}

// Loshchilov and Hutter's decoupled decay, in the order of PyTorch's AdamW.
void adamw_reference(const Reference& r) {
  const AdamWParams& params = r.node.param<AdamWParams>();
  const double beta1 = static_cast<double>(params.beta1), beta2 = static_cast<double>(params.beta2);
  const double epsilon = static_cast<double>(params.epsilon), decay = static_cast<double>(params.weight_decay);
  const double rate = r.in[4]->data[0], step = r.in[4]->data[1];
  const double correction1 = 1 - std::pow(beta1, step), correction2 = 1 - std::pow(beta2, step);
  for (size_t i = 0; i < r.in[0]->data.size(); ++i) {
    const double g = r.in[1]->data[i];
    const double decayed = r.in[0]->data[i] * (1 - rate * decay);
    const double m = beta1 * r.in[2]->data[i] + (1 - beta1) * g;
    const double v = beta2 * r.in[3]->data[i] + (1 - beta2) * g * g;
    r.out[0]->data[i] = decayed - rate / correction1 * m / (std::sqrt(v) / std::sqrt(correction2) + epsilon);
    r.out[1]->data[i] = m;
    r.out[2]->data[i] = v;
  }
}

}  // namespace

extern const OpInfo accumulate_info;
const OpInfo accumulate_info = {
    .name = "accumulate",
    .shape = accumulate_shape,
    .reference = accumulate_reference,
    .cost = update_cost,
};

extern const OpInfo adamw_info;
const OpInfo adamw_info = {
    .name = "adamw",
    .shape = adamw_shape,
    .reference = adamw_reference,
    .cost = update_cost,
};

Tensor accumulate(Tensor accumulator, Tensor x, float factor) {
  return accumulator.graph->append(OpId::Accumulate, {accumulator, x}, AccumulateParams{factor})[0];
}

Tensor adamw(Tensor parameter, Tensor gradient, Tensor m, Tensor v, Tensor hyper, const AdamWParams& params) {
  return parameter.graph->append(OpId::AdamW, {parameter, gradient, m, v, hyper}, params)[0];
}

}  // namespace margay
