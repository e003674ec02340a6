// unary, binary and affine: one element at a time.
#include <cmath>

#include "ops/ops.h"
#include "ops/primitive/index.h"

namespace margay {
namespace {

void require_float(const ShapeRule& rule, int input) {
  rule.check(rule.in(input).dtype == DType::F32, "elements must be float32");
}

Tensor scalar(Graph& graph, float value) { return graph.constant(make_shape({1}), {&value, 1}); }

// --- unary ----------------------------------------------------------------------------------------------------------
void unary_shape(ShapeRule& rule) {
  require_float(rule, 0);
  rule.out(rule.shape(0));
}

void unary_vjp(Vjp& vjp) {
  const Tensor x = vjp.in(0), y = vjp.out(0), dy = vjp.dy();
  switch (vjp.node.param<UnaryParams>().kind) {
    case UnaryKind::kExp:
      return vjp.set(0, multiply(dy, y));
    case UnaryKind::kLog:
      return vjp.set(0, divide(dy, x));
    case UnaryKind::kSqrt:
      return vjp.set(0, affine(divide(dy, y), 0.5f, 0));
    case UnaryKind::kReciprocal:
      return vjp.set(0, affine(multiply(multiply(dy, y), y), -1, 0));
    case UnaryKind::kSigmoid:
      return vjp.set(0, multiply(multiply(dy, y), affine(y, -1, 1)));
    case UnaryKind::kRelu:
      // y / max(y, tiny) is 1 where y > 0 and 0 elsewhere.
      return vjp.set(0, multiply(dy, divide(y, binary(y, scalar(vjp.graph, 1e-30f), BinaryKind::kMaximum))));
  }
}

double apply(UnaryKind kind, double x) {
  switch (kind) {
    case UnaryKind::kExp:
      return std::exp(x);
    case UnaryKind::kLog:
      return std::log(x);
    case UnaryKind::kSqrt:
      return std::sqrt(x);
    case UnaryKind::kReciprocal:
      return 1 / x;
    case UnaryKind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case UnaryKind::kRelu:
      return x > 0 ? x : 0;
  }
  return 0;
}

void unary_reference(const Reference& r) {
  const UnaryKind kind = r.node.param<UnaryParams>().kind;
  for (size_t i = 0; i < r.in[0]->data.size(); ++i) r.out[0]->data[i] = apply(kind, r.in[0]->data[i]);
}

double unary_cost(const Graph& graph, const Node& node) {
  const double count = static_cast<double>(elements(graph.value(node.outputs[0]).shape));
  return count * (node.param<UnaryParams>().kind == UnaryKind::kLog ? 5 : 0.5);
}

// --- binary ---------------------------------------------------------------------------------------------------------
void binary_shape(ShapeRule& rule) {
  require_float(rule, 0);
  require_float(rule, 1);
  const Shape &a = rule.shape(0), &b = rule.shape(1);
  rule.check(b.rank <= a.rank, "the second input's rank must not exceed the first's");
  Shape out = a;
  for (int i = 0; i < b.rank; ++i) {
    int64_t& dim = out.dim[a.rank - b.rank + i];
    rule.check(dim == b.dim[i] || dim == 1 || b.dim[i] == 1, "axes must be equal or 1");
    if (dim == 1) dim = b.dim[i];
  }
  rule.out(out);
}

void binary_vjp(Vjp& vjp) {
  const Tensor a = vjp.in(0), b = vjp.in(1), dy = vjp.dy();
  const auto set = [&](int input, Tensor gradient) { vjp.set(input, sum_to(gradient, vjp.in(input).shape())); };
  switch (vjp.node.param<BinaryParams>().kind) {
    case BinaryKind::kAdd:
      if (vjp.wants(0)) set(0, dy);
      if (vjp.wants(1)) set(1, dy);
      return;
    case BinaryKind::kSubtract:
      if (vjp.wants(0)) set(0, dy);
      if (vjp.wants(1)) set(1, affine(dy, -1, 0));
      return;
    case BinaryKind::kMultiply:
      if (vjp.wants(0)) set(0, multiply(dy, b));
      if (vjp.wants(1)) set(1, multiply(dy, a));
      return;
    case BinaryKind::kDivide:
      if (vjp.wants(0)) set(0, divide(dy, b));
      if (vjp.wants(1)) set(1, affine(divide(multiply(dy, vjp.out(0)), b), -1, 0));
      return;
    case BinaryKind::kMaximum:
      fail("binary: maximum has no gradient; write it as relu(a - b) + b");
  }
}

double apply(BinaryKind kind, double a, double b) {
  switch (kind) {
    case BinaryKind::kAdd:
      return a + b;
    case BinaryKind::kSubtract:
      return a - b;
    case BinaryKind::kMultiply:
      return a * b;
    case BinaryKind::kDivide:
      return a / b;
    case BinaryKind::kMaximum:
      return a > b ? a : b;
  }
  return 0;
}

void binary_reference(const Reference& r) {
  const BinaryKind kind = r.node.param<BinaryParams>().kind;
  const ReferenceValue &a = *r.in[0], &b = *r.in[1];
  ReferenceValue& y = *r.out[0];
  for_each_element(y.shape, [&](int64_t flat, const int64_t* coordinate) {
    const int64_t ia = broadcast_index(a.shape, coordinate, y.shape.rank);
    const int64_t ib = broadcast_index(b.shape, coordinate, y.shape.rank);
    y.data[static_cast<size_t>(flat)] = apply(kind, a.data[static_cast<size_t>(ia)], b.data[static_cast<size_t>(ib)]);
  });
}

// --- affine ---------------------------------------------------------------------------------------------------------
void affine_vjp(Vjp& vjp) { vjp.set(0, affine(vjp.dy(), vjp.node.param<AffineParams>().factor, 0)); }

void affine_reference(const Reference& r) {
  const AffineParams& params = r.node.param<AffineParams>();
  for (size_t i = 0; i < r.in[0]->data.size(); ++i)
    r.out[0]->data[i] = r.in[0]->data[i] * static_cast<double>(params.factor) + static_cast<double>(params.offset);
}

}  // namespace

extern const OpInfo unary_info;
const OpInfo unary_info = {
    .name = "unary",
    .shape = unary_shape,
    .vjp = unary_vjp,
    .reference = unary_reference,
    .cost = unary_cost,
    .in_place = true,
};

extern const OpInfo binary_info;
const OpInfo binary_info = {
    .name = "binary",
    .shape = binary_shape,
    .vjp = binary_vjp,
    .reference = binary_reference,
    .in_place = true,
};

extern const OpInfo affine_info;
const OpInfo affine_info = {
    .name = "affine",
    .shape = unary_shape,
    .vjp = affine_vjp,
    .reference = affine_reference,
    .in_place = true,
};

Tensor unary(Tensor x, UnaryKind kind) { return x.graph->append(OpId::Unary, {x}, UnaryParams{kind})[0]; }

Tensor binary(Tensor a, Tensor b, BinaryKind kind) {
  return a.graph->append(OpId::Binary, {a, b}, BinaryParams{kind})[0];
}

Tensor affine(Tensor x, float factor, float offset) {
  return x.graph->append(OpId::Affine, {x}, AffineParams{factor, offset})[0];
}

}  // namespace margay
