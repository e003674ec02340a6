// gelu and its gradient.
#include "ops/gelu/gelu.h"
#include "ops/ops.h"

namespace margay {
namespace {

double cost(const Graph& graph, const Node& node) {
  return static_cast<double>(elements(graph.value(node.inputs[0]).shape)) * (node.op == OpId::Gelu ? 0.5 : 0.8);
}

void shape(ShapeRule& rule) {
  rule.check(rule.in(0).dtype == DType::F32, "elements must be float32");
  rule.out(rule.shape(0));
}

std::vector<Tensor> compose(Compose& compose) {
  const Tensor x = compose.inputs[0];
  const Tensor u = multiply(x, affine(multiply(x, x), kGeluSlope * kGeluCube, kGeluSlope));
  return {multiply(x, unary(u, UnaryKind::kSigmoid))};
}

void vjp(Vjp& vjp) { vjp.set(0, vjp.graph.append(OpId::GeluGrad, {vjp.in(0), vjp.dy()})[0]); }

// (x, dy) -> dx
void grad_shape(ShapeRule& rule) {
  rule.check(rule.shape(0) == rule.shape(1), "x and its gradient must have one shape");
  rule.out(rule.shape(0));
}

}  // namespace

extern const OpInfo gelu_info;
const OpInfo gelu_info = {
    .name = "gelu", .shape = shape, .vjp = vjp, .compose = compose, .cost = cost, .in_place = true};

extern const OpInfo gelu_grad_info;
const OpInfo gelu_grad_info = {
    .name = "gelu_grad", .shape = grad_shape, .cost = cost, .in_place = true, .gradient_of = "gelu"};

Tensor gelu(Tensor x) { return x.graph->append(OpId::Gelu, {x})[0]; }

}  // namespace margay
