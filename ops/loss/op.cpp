// cross_entropy, mean_squared_error and their gradients.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/ops.h"

namespace margay {
namespace {

double cross_entropy_cost(const Graph& graph, const Node& node) {
  return static_cast<double>(elements(graph.value(node.inputs[0]).shape)) * 0.5;
}

// --- cross_entropy: (logits, targets) -> loss, log-sum-exp ----------------------------------------------------------
void cross_entropy_shape(ShapeRule& rule) {
  const Shape logits = rule.shape(0), &targets = rule.shape(1);
  rule.check(rule.in(0).dtype == DType::F32 && logits.rank == 2 && logits.dim[1] > 0,
             "logits must be float32 [N, V], V > 0");
  rule.check(rule.in(1).dtype == DType::I32 && targets.rank == 1 && targets.dim[0] == logits.dim[0],
             "targets must be int32 [N]");
  rule.out(make_shape({logits.dim[0]}));
  rule.out(make_shape({logits.dim[0]}));
}

void cross_entropy_vjp(Vjp& vjp) {
  if (!vjp.dy()) return;
  vjp.set(0, vjp.graph.append(OpId::CrossEntropyGrad, {vjp.in(0), vjp.in(1), vjp.out(1), vjp.dy()})[0]);
}

void cross_entropy_reference(const Reference& r) {
  const size_t vocabulary = static_cast<size_t>(r.in[0]->shape.dim[1]);
  for (size_t n = 0; n < r.in[1]->data.size(); ++n) {
    const double* logits = r.in[0]->data.data() + n * vocabulary;
    const double target = r.in[1]->data[n], maximum = *std::max_element(logits, logits + vocabulary);
    double sum = 0;
    for (size_t v = 0; v < vocabulary; ++v) sum += std::exp(logits[v] - maximum);
    const double lse = maximum + std::log(sum);
    r.out[1]->data[n] = lse;
    if (target < 0) r.out[0]->data[n] = 0;
    else if (target < static_cast<double>(vocabulary)) r.out[0]->data[n] = lse - logits[static_cast<size_t>(target)];
    else r.out[0]->data[n] = std::numeric_limits<double>::quiet_NaN();  // no such token
  }
}

// (logits, targets, log-sum-exp, dloss) -> dlogits
void cross_entropy_grad_shape(ShapeRule& rule) {
  const Shape logits = rule.shape(0), rows = make_shape({logits.dim[0]});
  rule.check(rule.shape(2) == rows && rule.shape(3) == rows, "log-sum-exp and the gradient must be [N]");
  rule.out(logits);
}

// --- mean_squared_error: (a, b) -> [1] ------------------------------------------------------------------------------
void mean_squared_error_shape(ShapeRule& rule) {
  rule.check(rule.in(0).dtype == DType::F32 && rule.in(1).dtype == DType::F32, "elements must be float32");
  rule.check(rule.shape(0) == rule.shape(1) && elements(rule.shape(0)) > 0, "both inputs must have one shape");
  rule.out(make_shape({1}));
}

void mean_squared_error_vjp(Vjp& vjp) {
  require(!vjp.wants(1), "mean_squared_error: the second input is the teacher's and has no gradient; swap the inputs");
  vjp.set(0, vjp.graph.append(OpId::MeanSquaredErrorGrad, {vjp.in(0), vjp.in(1), vjp.dy()})[0]);
}

void mean_squared_error_reference(const Reference& r) {
  const std::vector<double>&a = r.in[0]->data, &b = r.in[1]->data;
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  r.out[0]->data[0] = sum / static_cast<double>(a.size());
}

// (a, b, dloss) -> da
void mean_squared_error_grad_shape(ShapeRule& rule) {
  rule.check(rule.shape(0) == rule.shape(1) && elements(rule.shape(2)) == 1, "the gradient must have one element");
  rule.out(rule.shape(0));
}

}  // namespace

extern const OpInfo cross_entropy_info;
const OpInfo cross_entropy_info = {
    .name = "cross_entropy",
    .shape = cross_entropy_shape,
    .vjp = cross_entropy_vjp,
    .reference = cross_entropy_reference,
    .cost = cross_entropy_cost,
};

extern const OpInfo cross_entropy_grad_info;
const OpInfo cross_entropy_grad_info = {
    .name = "cross_entropy_grad",
    .shape = cross_entropy_grad_shape,
    .cost = cross_entropy_cost,
    .in_place = true,
    .gradient_of = "cross_entropy",
};

// No cost: the kernel is thread 0's alone, and the default (one output element) makes it a serial step.
extern const OpInfo mean_squared_error_info;
const OpInfo mean_squared_error_info = {
    .name = "mean_squared_error",
    .shape = mean_squared_error_shape,
    .vjp = mean_squared_error_vjp,
    .reference = mean_squared_error_reference,
};

extern const OpInfo mean_squared_error_grad_info;
const OpInfo mean_squared_error_grad_info = {
    .name = "mean_squared_error_grad",
    .shape = mean_squared_error_grad_shape,
    .in_place = true,
    .gradient_of = "mean_squared_error",
};

Tensor cross_entropy(Tensor logits, Tensor targets) {
  return logits.graph->append(OpId::CrossEntropy, {logits, targets})[0];
}

Tensor mean_squared_error(Tensor a, Tensor b) { return a.graph->append(OpId::MeanSquaredError, {a, b})[0]; }

}  // namespace margay
