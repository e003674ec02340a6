// layer_norm.
#include "ops/ops.h"

namespace margay {
namespace {

void shape(ShapeRule& rule) {
  const Shape &x = rule.shape(0), &weight = rule.shape(1), &bias = rule.shape(2);
  for (int i = 0; i < 3; ++i) rule.check(rule.in(i).dtype == DType::F32, "elements must be float32");
  rule.check(x.rank >= 1 && weight.rank == 1 && weight.dim[0] == row_length(x) && bias == weight,
             "weight and bias must have as many elements as the last axis");
  rule.out(x);
}

Tensor mean(Tensor x) { return affine(reduce(x, ReduceKind::kSum, -1), 1 / static_cast<float>(x.dim(-1)), 0); }

// (x - mean(x)) / sqrt(variance(x) + epsilon), and the divisor.
struct Standardized {
  Tensor x, deviation;
};

Standardized standardized(Tensor x, float epsilon) {
  const Tensor centered = subtract(x, mean(x));
  const Tensor deviation = unary(affine(mean(multiply(centered, centered)), 1, epsilon), UnaryKind::kSqrt);
  return {divide(centered, deviation), deviation};
}

std::vector<Tensor> compose(Compose& compose) {
  const Tensor normal = standardized(compose.inputs[0], compose.node.param<LayerNormParams>().epsilon).x;
  return {add(multiply(normal, compose.inputs[1]), compose.inputs[2])};
}

// With n the standardized x and g = dy w:  dx = (g - mean(g) - n mean(g n)) / deviation.
void vjp(Vjp& vjp) {
  const Tensor dy = vjp.dy(), weight = vjp.in(1);
  const Standardized normal = standardized(vjp.in(0), vjp.node.param<LayerNormParams>().epsilon);
  if (vjp.wants(0)) {
    const Tensor g = multiply(dy, weight);
    const Tensor direct = subtract(g, mean(g));
    vjp.set(0, divide(subtract(direct, multiply(normal.x, mean(multiply(g, normal.x)))), normal.deviation));
  }
  if (vjp.wants(1)) vjp.set(1, sum_to(multiply(dy, normal.x), weight.shape()));
  if (vjp.wants(2)) vjp.set(2, sum_to(dy, weight.shape()));
}

double cost(const Graph& graph, const Node& node) {
  return static_cast<double>(elements(graph.value(node.inputs[0]).shape)) * 0.3;
}

}  // namespace

extern const OpInfo layer_norm_info;
const OpInfo layer_norm_info = {
    .name = "layer_norm", .shape = shape, .vjp = vjp, .compose = compose, .cost = cost, .in_place = true};

Tensor layer_norm(Tensor x, Tensor weight, Tensor bias, float epsilon) {
  return x.graph->append(OpId::LayerNorm, {x, weight, bias}, LayerNormParams{epsilon})[0];
}

}  // namespace margay
