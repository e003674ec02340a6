// linear, quantize_rows and linear_grad: shapes, definitions, gradients.
#include <algorithm>
#include <vector>

#include "ops/linear/tiles.h"
#include "ops/ops.h"
#include "ops/quant/activation.h"

namespace margay {
namespace {

Shape with_last(Shape shape, int64_t last) {
  shape.dim[shape.rank - 1] = last;
  return shape;
}

Shape as_matrix(const Shape& shape) { return make_shape({row_count(shape), row_length(shape)}); }

bool is_weight_type(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16 ||
         (type_info(type).quantized && type != DType::Q8_ACT);
}

void check_weight(const ShapeRule& rule) {
  rule.check(rule.inputs() == 2 && rule.shape(0).rank >= 1 && rule.shape(1).rank == 2,
             "expected [..., K or N] and a weight [N, K]");
  if (!is_weight_type(rule.in(1).dtype))
    fail("{}: weights are floats or quantized, not {}", rule.name, type_name(rule.in(1).dtype));
}

// --- quantize_rows ---------------------------------------------------------------------------------------------------
void quantize_shape(ShapeRule& rule) {
  rule.check(rule.inputs() == 1 && rule.in(0).dtype == DType::F32 && rule.shape(0).rank >= 1 &&
                 row_length(rule.shape(0)) % 32 == 0,
             "expected F32 rows of a multiple of 32 elements");
  rule.out(rule.shape(0), DType::Q8_ACT);
}

// The value is what the quantized row stands for, so that the oracle of what follows sees the same rounding.
void quantize_reference(const Reference& r) {
  const std::vector<double>& x = r.in[0]->data;
  for (size_t b = 0; b + 32 <= x.size(); b += 32) {
    float block[32];
    int8_t q[32];
    for (size_t i = 0; i < 32; ++i) block[i] = static_cast<float>(x[b + i]);
    const float scale = quantize_activation(block, q);
    for (size_t i = 0; i < 32; ++i) r.out[0]->data[b + i] = static_cast<double>(scale) * q[i];
  }
}

// Rounding passes gradients straight through.
void quantize_vjp(Vjp& vjp) { vjp.set(0, vjp.dy()); }

double quantize_cost(const Graph& graph, const Node& node) {
  return 20.0 + 0.15 * static_cast<double>(elements(graph.value(node.outputs[0]).shape));
}

// --- linear ----------------------------------------------------------------------------------------------------------
void linear_shape(ShapeRule& rule) {
  check_weight(rule);
  const DType x = rule.in(0).dtype;
  rule.check(x == DType::F32 || (x == DType::Q8_ACT && type_info(rule.in(1).dtype).quantized),
             "x must be F32, or Q8_ACT where the weight is quantized");
  rule.check(row_length(rule.shape(0)) == rule.shape(1).dim[1],
             "the rows of x and of the weight must have the same length");
  rule.out(with_last(rule.shape(0), rule.shape(1).dim[0]));
}

void linear_reference(const Reference& r) {
  const ReferenceValue &x = *r.in[0], &w = *r.in[1];
  const size_t n = static_cast<size_t>(w.shape.dim[0]), k = static_cast<size_t>(w.shape.dim[1]);
  for (size_t t = 0; t < static_cast<size_t>(row_count(x.shape)); ++t)
    for (size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (size_t j = 0; j < k; ++j) sum += x.data[t * k + j] * w.data[i * k + j];
      r.out[0]->data[t * n + i] = sum;
    }
}

void linear_vjp(Vjp& vjp) {
  if (vjp.wants(0)) vjp.set(0, vjp.graph.append(OpId::LinearGrad, {vjp.dy(), vjp.in(1)})[0]);
  if (!vjp.wants(1)) return;
  const Value& weight = vjp.graph.value(vjp.in(1).id);
  require(weight.dtype == DType::F32, "linear: no gradient for the {} weight {}; only F32 weights can be trained",
          type_name(weight.dtype), weight.name);
  require(vjp.in(0).dtype() == DType::F32, "linear: no gradient for weight {} from quantized activations", weight.name);
  const Tensor dy = reshape(vjp.dy(), as_matrix(vjp.dy().shape())),
               x = reshape(vjp.in(0), as_matrix(vjp.in(0).shape()));
  vjp.set(1, matmul(dy, x, true, false));
}

// Nanoseconds of `rows` rows times a weight: bound by the weight's bytes or by the products, whichever is more.
double product_cost(const Value& weight, int64_t rows, bool int8) {
  const double products = static_cast<double>(elements(weight.shape)) * static_cast<double>(rows);
  const double bytes = static_cast<double>(shape_bytes(weight.shape, weight.dtype));
  return 50.0 + std::max(bytes / 15, products / (int8 ? 200 : 60));
}

double linear_cost(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &w = graph.value(node.inputs[1]);
  return product_cost(w, row_count(x.shape), x.dtype == DType::Q8_ACT);
}

size_t linear_scratch(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  const int64_t k = row_length(x.shape);
  if (x.dtype == DType::Q8_ACT) return int8_scratch();
  return row_count(x.shape) <= kFewRows ? static_cast<size_t>(k) * sizeof(float) : gemm_scratch();
}

// --- linear_grad: dx = dy * W ----------------------------------------------------------------------------------------
void grad_shape(ShapeRule& rule) {
  check_weight(rule);
  rule.check(rule.in(0).dtype == DType::F32 && row_length(rule.shape(0)) == rule.shape(1).dim[0],
             "expected dy [..., N] and a weight [N, K]");
  rule.out(with_last(rule.shape(0), rule.shape(1).dim[1]));
}

void grad_reference(const Reference& r) {
  const ReferenceValue &dy = *r.in[0], &w = *r.in[1];
  const size_t n = static_cast<size_t>(w.shape.dim[0]), k = static_cast<size_t>(w.shape.dim[1]);
  for (size_t t = 0; t < static_cast<size_t>(row_count(dy.shape)); ++t)
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < k; ++j) r.out[0]->data[t * k + j] += dy.data[t * n + i] * w.data[i * k + j];
}

double grad_cost(const Graph& graph, const Node& node) {
  return product_cost(graph.value(node.inputs[1]), row_count(graph.value(node.inputs[0]).shape), false);
}

size_t grad_scratch(const Graph&, const Node&) { return gemm_scratch(); }

}  // namespace

extern const OpInfo quantize_rows_info, linear_info, linear_grad_info;
const OpInfo quantize_rows_info = {.name = "quantize_rows",
                                   .shape = quantize_shape,
                                   .vjp = quantize_vjp,
                                   .reference = quantize_reference,
                                   .cost = quantize_cost};
const OpInfo linear_info = {.name = "linear",
                            .shape = linear_shape,
                            .vjp = linear_vjp,
                            .reference = linear_reference,
                            .cost = linear_cost,
                            .scratch = linear_scratch};
const OpInfo linear_grad_info = {.name = "linear_grad",
                                 .shape = grad_shape,
                                 .reference = grad_reference,
                                 .cost = grad_cost,
                                 .scratch = grad_scratch,
                                 .gradient_of = "linear"};

Tensor quantize_rows(Tensor x) {
  Graph& graph = *x.graph;
  for (const auto& [id, quantized] : graph.quantized_)
    if (id == x.id) return quantized;
  const Tensor quantized = graph.append(OpId::QuantizeRows, {x})[0];
  graph.quantized_.emplace_back(x.id, quantized);
  return quantized;
}

Tensor linear(Tensor x, Tensor weight, bool float_products) {
  // A weight of the wrong length is the shape rule's to report, not quantize_rows'.
  const bool int8 = type_info(weight.dtype()).quantized && !float_products && row_length(x.shape()) % 32 == 0;
  return x.graph->append(OpId::Linear, {int8 ? quantize_rows(x) : x, weight}, LinearParams{!int8})[0];
}

}  // namespace margay
