// reshape, permute, slice and concat: elements move, none changes.
#include <span>
#include <vector>

#include "ops/ops.h"
#include "ops/primitive/index.h"

namespace margay {
namespace {

void require_words(const ShapeRule& rule, int input) {
  rule.check(rule.in(input).dtype == DType::F32 || rule.in(input).dtype == DType::I32,
             "elements must be float32 or int32");
}

int positive(Tensor x, int axis) { return axis < 0 ? axis + x.shape().rank : axis; }

double copy_cost(const Graph& graph, const Node& node) {
  return static_cast<double>(elements(graph.value(node.outputs[0]).shape)) * (node.op == OpId::Permute ? 1 : 0.2);
}

// --- reshape: the target shape is the only parameter
// ------------------------------------------------------------------
void reshape_shape(ShapeRule& rule) { rule.out_reshaped(0, rule.param<Shape>()); }

void reshape_vjp(Vjp& vjp) { vjp.set(0, reshape(vjp.dy(), vjp.in(0).shape())); }

void reshape_reference(const Reference& r) { r.out[0]->data = r.in[0]->data; }

double no_cost(const Graph&, const Node&) { return 0; }

// --- permute --------------------------------------------------------------------------------------------------------
Tensor append_permute(Tensor x, const PermuteParams& params) { return x.graph->append(OpId::Permute, {x}, params)[0]; }

void permute_shape(ShapeRule& rule) {
  require_words(rule, 0);
  const PermuteParams& params = rule.param<PermuteParams>();
  const Shape& x = rule.shape(0);
  Shape out = x;
  bool seen[kMaxRank] = {};
  for (int i = 0; i < x.rank; ++i) {
    const int axis = params.order[i];
    rule.check(axis >= 0 && axis < x.rank && !seen[axis], "the order must name every axis once");
    seen[axis] = true;
    out.dim[i] = x.dim[axis];
  }
  rule.out(out, rule.in(0).dtype);
}

void permute_vjp(Vjp& vjp) {
  const PermuteParams& params = vjp.node.param<PermuteParams>();
  PermuteParams inverse = {};
  for (int i = 0; i < vjp.in(0).shape().rank; ++i) inverse.order[params.order[i]] = i;
  vjp.set(0, append_permute(vjp.dy(), inverse));
}

void permute_reference(const Reference& r) {
  const PermuteParams& params = r.node.param<PermuteParams>();
  const ReferenceValue& x = *r.in[0];
  ReferenceValue& y = *r.out[0];
  for_each_element(y.shape, [&](int64_t flat, const int64_t* coordinate) {
    int64_t source[kMaxRank] = {};
    for (int i = 0; i < x.shape.rank; ++i) source[params.order[i]] = coordinate[i];
    y.data[static_cast<size_t>(flat)] = x.data[static_cast<size_t>(broadcast_index(x.shape, source, x.shape.rank))];
  });
}

// --- slice ----------------------------------------------------------------------------------------------------------
void slice_shape(ShapeRule& rule) {
  require_words(rule, 0);
  const SliceParams& params = rule.param<SliceParams>();
  Shape out = rule.shape(0);
  rule.check(params.axis >= 0 && params.axis < out.rank, "the axis must be one of the input's");
  rule.check(params.begin >= 0 && params.size >= 0 && params.begin + params.size <= out.dim[params.axis],
             "the slice must lie within the axis");
  out.dim[params.axis] = params.size;
  rule.out(out, rule.in(0).dtype);
}

void slice_vjp(Vjp& vjp) {
  const SliceParams& params = vjp.node.param<SliceParams>();
  const auto zeros = [&](int64_t length) {
    Shape shape = vjp.in(0).shape();
    shape.dim[params.axis] = length;
    const std::vector<float> values(static_cast<size_t>(elements(shape)), 0.f);
    return vjp.graph.constant(shape, values);
  };
  const int64_t after = vjp.in(0).dim(params.axis) - params.begin - params.size;
  Tensor gradient = vjp.dy();
  if (params.begin > 0) gradient = concat(zeros(params.begin), gradient, params.axis);
  if (after > 0) gradient = concat(gradient, zeros(after), params.axis);
  vjp.set(0, gradient);
}

void slice_reference(const Reference& r) {
  const SliceParams& params = r.node.param<SliceParams>();
  const ReferenceValue& x = *r.in[0];
  ReferenceValue& y = *r.out[0];
  for_each_element(y.shape, [&](int64_t flat, const int64_t* coordinate) {
    int64_t source[kMaxRank];
    for (int i = 0; i < kMaxRank; ++i) source[i] = coordinate[i] + (i == params.axis ? params.begin : 0);
    int64_t from = 0;
    for (int i = 0; i < x.shape.rank; ++i) from = from * x.shape.dim[i] + source[i];
    y.data[static_cast<size_t>(flat)] = x.data[static_cast<size_t>(from)];
  });
}

// --- concat ---------------------------------------------------------------------------------------------------------
void concat_shape(ShapeRule& rule) {
  require_words(rule, 0);
  const int axis = rule.param<ConcatParams>().axis;
  const Shape &a = rule.shape(0), &b = rule.shape(1);
  rule.check(rule.in(0).dtype == rule.in(1).dtype, "both inputs must have the same type");
  rule.check(axis >= 0 && axis < a.rank && a.rank == b.rank, "ranks must be equal and the axis one of the inputs'");
  for (int i = 0; i < a.rank; ++i) rule.check(i == axis || a.dim[i] == b.dim[i], "the other axes must be equal");
  Shape out = a;
  out.dim[axis] += b.dim[axis];
  rule.out(out, rule.in(0).dtype);
}

void concat_vjp(Vjp& vjp) {
  const int axis = vjp.node.param<ConcatParams>().axis;
  const int64_t first = vjp.in(0).dim(axis), second = vjp.in(1).dim(axis);
  if (vjp.wants(0)) vjp.set(0, slice(vjp.dy(), axis, 0, first));
  if (vjp.wants(1)) vjp.set(1, slice(vjp.dy(), axis, first, second));
}

void concat_reference(const Reference& r) {
  const int axis = r.node.param<ConcatParams>().axis;
  const int64_t first = r.in[0]->shape.dim[axis];
  ReferenceValue& y = *r.out[0];
  for_each_element(y.shape, [&](int64_t flat, const int64_t* coordinate) {
    const bool second = coordinate[axis] >= first;
    const ReferenceValue& x = *r.in[second ? 1 : 0];
    int64_t from = 0;
    for (int i = 0; i < x.shape.rank; ++i)
      from = from * x.shape.dim[i] + coordinate[i] - (i == axis && second ? first : 0);
    y.data[static_cast<size_t>(flat)] = x.data[static_cast<size_t>(from)];
  });
}

}  // namespace

extern const OpInfo reshape_info;
const OpInfo reshape_info = {
    .name = "reshape",
    .shape = reshape_shape,
    .vjp = reshape_vjp,
    .reference = reshape_reference,
    .cost = no_cost,
};

extern const OpInfo permute_info;
const OpInfo permute_info = {
    .name = "permute",
    .shape = permute_shape,
    .vjp = permute_vjp,
    .reference = permute_reference,
    .cost = copy_cost,
};

extern const OpInfo slice_info;
const OpInfo slice_info = {
    .name = "slice",
    .shape = slice_shape,
    .vjp = slice_vjp,
    .reference = slice_reference,
    .cost = copy_cost,
};

extern const OpInfo concat_info;
const OpInfo concat_info = {
    .name = "concat",
    .shape = concat_shape,
    .vjp = concat_vjp,
    .reference = concat_reference,
    .cost = copy_cost,
};

Tensor reshape(Tensor x, Shape shape) { return x.graph->append(OpId::Reshape, {x}, shape)[0]; }

Tensor permute(Tensor x, std::initializer_list<int> order) {
  require(order.size() == static_cast<size_t>(x.shape().rank), "permute: an order of {} axes for the shape {}",
          order.size(), to_string(x.shape()));
  PermuteParams params = {};
  int axis = 0;
  for (const int from : order) params.order[axis++] = from;
  return append_permute(x, params);
}

Tensor slice(Tensor x, int axis, int64_t begin, int64_t size) {
  return x.graph->append(OpId::Slice, {x}, SliceParams{positive(x, axis), begin, size})[0];
}

Tensor concat(Tensor a, Tensor b, int axis) {
  return a.graph->append(OpId::Concat, {a, b}, ConcatParams{positive(a, axis)})[0];
}

}  // namespace margay
