// reduce and sum_to: many elements to one.
#include <algorithm>
#include <limits>
#include <vector>

#include "ops/ops.h"
#include "ops/primitive/index.h"

namespace margay {
namespace {

double cost_by_input(const Graph& graph, const Node& node) {
  return static_cast<double>(elements(graph.value(node.inputs[0]).shape)) * 0.15;
}

// dy, whose shape broadcasts to `shape`, repeated up to it: added to zeros that are long only where dy is short.
Tensor repeat_to(Tensor dy, const Shape& shape) {
  Shape padded = shape, zeros = shape;
  for (int i = 0; i < shape.rank; ++i) {
    const int own = i - (shape.rank - dy.shape().rank);
    padded.dim[i] = own < 0 ? 1 : dy.shape().dim[own];
    if (padded.dim[i] == shape.dim[i]) zeros.dim[i] = 1;
  }
  if (!(padded == dy.shape())) dy = reshape(dy, padded);
  if (padded == shape) return dy;
  const std::vector<float> values(static_cast<size_t>(elements(zeros)), 0.f);
  return add(dy, dy.graph->constant(zeros, values));
}

// --- reduce ---------------------------------------------------------------------------------------------------------
void reduce_shape(ShapeRule& rule) {
  const ReduceParams& params = rule.param<ReduceParams>();
  rule.check(rule.in(0).dtype == DType::F32, "elements must be float32");
  Shape out = rule.shape(0);
  rule.check(params.axis >= 0 && params.axis < out.rank, "the axis must be one of the input's");
  rule.check(params.kind == ReduceKind::kSum || out.dim[params.axis] > 0, "there is no maximum of no elements");
  out.dim[params.axis] = 1;
  rule.out(out);
}

void reduce_vjp(Vjp& vjp) {
  require(vjp.node.param<ReduceParams>().kind == ReduceKind::kSum, "reduce: the maximum has no gradient");
  vjp.set(0, repeat_to(vjp.dy(), vjp.in(0).shape()));
}

void reduce_reference(const Reference& r) {
  const bool maximum = r.node.param<ReduceParams>().kind == ReduceKind::kMax;
  const ReferenceValue& x = *r.in[0];
  ReferenceValue& y = *r.out[0];
  if (maximum) std::fill(y.data.begin(), y.data.end(), -std::numeric_limits<double>::infinity());
  for_each_element(x.shape, [&](int64_t flat, const int64_t* coordinate) {
    double& to = y.data[static_cast<size_t>(broadcast_index(y.shape, coordinate, x.shape.rank))];
    const double value = x.data[static_cast<size_t>(flat)];
    to = maximum ? std::max(to, value) : to + value;
  });
}

// --- sum_to ---------------------------------------------------------------------------------------------------------
// The target shape is the only parameter.
void sum_to_shape(ShapeRule& rule) {
  const Shape &x = rule.shape(0), &target = rule.param<Shape>();
  rule.check(rule.in(0).dtype == DType::F32, "elements must be float32");
  rule.check(target.rank <= x.rank, "the target's rank must not exceed the input's");
  for (int i = 0; i < target.rank; ++i)
    rule.check(target.dim[i] == 1 || target.dim[i] == x.dim[x.rank - target.rank + i],
               "the target's axes must be 1 or the input's");
  rule.out(target);
}

void sum_to_vjp(Vjp& vjp) { vjp.set(0, repeat_to(vjp.dy(), vjp.in(0).shape())); }

void sum_to_reference(const Reference& r) {
  const ReferenceValue& x = *r.in[0];
  ReferenceValue& y = *r.out[0];
  for_each_element(x.shape, [&](int64_t flat, const int64_t* coordinate) {
    y.data[static_cast<size_t>(broadcast_index(y.shape, coordinate, x.shape.rank))] +=
        x.data[static_cast<size_t>(flat)];
  });
}

}  // namespace

extern const OpInfo reduce_info;
const OpInfo reduce_info = {
    .name = "reduce",
    .shape = reduce_shape,
    .vjp = reduce_vjp,
    .reference = reduce_reference,
    .cost = cost_by_input,
};

extern const OpInfo sum_to_info;
const OpInfo sum_to_info = {
    .name = "sum_to",
    .shape = sum_to_shape,
    .vjp = sum_to_vjp,
    .reference = sum_to_reference,
    .cost = cost_by_input,
};

Tensor reduce(Tensor x, ReduceKind kind, int axis) {
  return x.graph->append(OpId::Reduce, {x}, ReduceParams{kind, axis < 0 ? axis + x.shape().rank : axis})[0];
}

Tensor sum_to(Tensor x, Shape shape) {
  if (x.shape() == shape) return x;
  return x.graph->append(OpId::SumTo, {x}, shape)[0];
}

}  // namespace margay
