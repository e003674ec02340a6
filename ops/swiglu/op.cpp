// swiglu and its gradient.
#include "ops/ops.h"

namespace margay {
namespace {

double swiglu_cost(const Graph& graph, const Node& node) {
  return static_cast<double>(elements(graph.value(node.inputs[0]).shape)) * (node.op == OpId::Swiglu ? 0.5 : 0.8);
}

void swiglu_shape(ShapeRule& rule) {
  rule.check(rule.in(0).dtype == DType::F32 && rule.in(1).dtype == DType::F32, "elements must be float32");
  rule.check(rule.shape(0) == rule.shape(1), "gate and up must have one shape");
  rule.out(rule.shape(0));
}

std::vector<Tensor> swiglu_compose(Compose& compose) {
  const Tensor gate = compose.inputs[0], up = compose.inputs[1];
  return {multiply(multiply(gate, unary(gate, UnaryKind::kSigmoid)), up)};
}

void swiglu_vjp(Vjp& vjp) {
  const std::vector<Tensor> outputs = vjp.graph.append(OpId::SwigluGrad, {vjp.in(0), vjp.in(1), vjp.dy()});
  vjp.set(0, outputs[0]);
  vjp.set(1, outputs[1]);
}

// (gate, up, dy) -> dgate, dup
void swiglu_grad_shape(ShapeRule& rule) {
  rule.check(rule.shape(0) == rule.shape(1) && rule.shape(0) == rule.shape(2), "all inputs must have one shape");
  const Shape shape = rule.shape(0);
  rule.out(shape);
  rule.out(shape);
}

}  // namespace

extern const OpInfo swiglu_info;
const OpInfo swiglu_info = {
    .name = "swiglu",
    .shape = swiglu_shape,
    .vjp = swiglu_vjp,
    .compose = swiglu_compose,
    .cost = swiglu_cost,
    .in_place = true,
};

extern const OpInfo swiglu_grad_info;
const OpInfo swiglu_grad_info = {
    .name = "swiglu_grad",
    .shape = swiglu_grad_shape,
    .cost = swiglu_cost,
    .in_place = true,
    .gradient_of = "swiglu",
};

Tensor swiglu(Tensor gate, Tensor up) { return gate.graph->append(OpId::Swiglu, {gate, up})[0]; }

}  // namespace margay
