// rms_norm and its gradient.
#include "ops/norm/norm.h"
#include "ops/ops.h"

namespace margay {
namespace {

double norm_cost(const Graph& graph, const Node& node) {
  const double count = static_cast<double>(elements(graph.value(node.inputs[0]).shape));
  return count * (node.op == OpId::RmsNorm ? 0.2 : 0.5);
}

// --- rms_norm -------------------------------------------------------------------------------------------------------
void rms_norm_shape(ShapeRule& rule) {
  const Shape &x = rule.shape(0), &weight = rule.shape(1);
  rule.check(rule.in(0).dtype == DType::F32 && rule.in(1).dtype == DType::F32, "elements must be float32");
  rule.check(x.rank >= 1 && weight.rank == 1 && weight.dim[0] == row_length(x),
             "the weight must have as many elements as the last axis");
  rule.out(x);
}

std::vector<Tensor> rms_norm_compose(Compose& compose) {
  const Tensor x = compose.inputs[0], weight = compose.inputs[1];
  const float epsilon = compose.node.param<RmsNormParams>().epsilon;
  const Tensor sum = reduce(multiply(x, x), ReduceKind::kSum, -1);
  const Tensor mean = affine(sum, 1.f / static_cast<float>(x.dim(-1)), epsilon);
  return {multiply(divide(x, unary(mean, UnaryKind::kSqrt)), weight)};
}

void rms_norm_vjp(Vjp& vjp) {
  const Tensor x = vjp.in(0), weight = vjp.in(1);
  const uint32_t wanted = (vjp.wants(0) ? 1u : 0u) | (vjp.wants(1) ? 2u : 0u);
  const RmsNormGradParams params{vjp.node.param<RmsNormParams>().epsilon, wanted};
  const std::vector<Tensor> outputs = vjp.graph.append(OpId::RmsNormGrad, {vjp.dy(), x, weight}, params);
  if (vjp.wants(0)) vjp.set(0, outputs[0]);
  if (vjp.wants(1)) vjp.set(1, sum_to(outputs[1], weight.shape()));
}

// --- rms_norm_grad: (dy, x, weight) -> dx, partial sums of the weight's gradient ------------------------------------
void rms_norm_grad_shape(ShapeRule& rule) {
  const uint32_t wanted = rule.param<RmsNormGradParams>().wanted;
  const Shape x = rule.shape(1);
  rule.check(rule.shape(0) == x, "the gradient must have the input's shape");
  const int64_t partials = (row_count(x) + kNormRowsOfPartial - 1) / kNormRowsOfPartial;
  rule.out(wanted & 1 ? x : make_shape({0}));
  rule.out(wanted & 2 ? make_shape({partials, row_length(x)}) : make_shape({0}));
}

}  // namespace

extern const OpInfo rms_norm_info;
const OpInfo rms_norm_info = {
    .name = "rms_norm",
    .shape = rms_norm_shape,
    .vjp = rms_norm_vjp,
    .compose = rms_norm_compose,
    .cost = norm_cost,
    .in_place = true,
};

extern const OpInfo rms_norm_grad_info;
const OpInfo rms_norm_grad_info = {
    .name = "rms_norm_grad",
    .shape = rms_norm_grad_shape,
    .cost = norm_cost,
    .in_place = true,
    .gradient_of = "rms_norm",
};

Tensor rms_norm(Tensor x, Tensor weight, float epsilon) {
  return x.graph->append(OpId::RmsNorm, {x, weight}, RmsNormParams{epsilon})[0];
}

}  // namespace margay
