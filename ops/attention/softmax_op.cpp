// softmax_attention: shapes, gradient, and its definition.
#include <algorithm>

#include "ops/attention/checks.h"
#include "ops/attention/tiles.h"

namespace margay {
namespace {

void shape(ShapeRule& rule) {
  const SoftmaxAttentionParams& p = rule.param<SoftmaxAttentionParams>();
  rule.check(rule.inputs() == (p.stateful ? 5 : 3), "expected q, k, v (and position, state)");
  const Shape q = rule.shape(0), k = rule.shape(1);  // out() moves them
  check_attention(rule, q, k, rule.shape(2));
  for (int i = 0; i < 3; ++i) rule.check(rule.in(i).dtype == DType::F32, "elements must be float32");
  rule.check(p.window >= 0 && p.soft_cap >= 0, "the window and the soft cap must not be negative");
  rule.out(q);
  rule.out(stats_shape(q));
  if (!p.stateful) return;
  rule.check(rule.in(3).dtype == DType::I32 && elements(rule.shape(3)) == q.dim[0],
             "expected one I32 position a sequence");
  const Shape cache = rule.shape(4);
  rule.check(cache.rank == 4 && cache.dim[0] == 2 && cache.dim[2] == k.dim[2] && cache.dim[3] == k.dim[3],
             "expected a state [2, capacity, HK, D]");
  rule.out_alias(4);
}

void grad_shape(ShapeRule& rule) {
  const uint32_t wanted = rule.param<SoftmaxAttentionGradParams>().wanted;
  for (int i = 0; i < 3; ++i) rule.out(wanted >> i & 1 ? rule.shape(i + 1) : make_shape({0}));
}

void vjp(Vjp& vjp) {
  const SoftmaxAttentionParams& p = vjp.node.param<SoftmaxAttentionParams>();
  require(!p.stateful, "softmax_attention: a call with a state has no gradient");
  if (!vjp.dy()) return;
  SoftmaxAttentionGradParams params{p, 0};
  for (int i = 0; i < 3; ++i) params.wanted |= vjp.wants(i) ? 1u << i : 0;
  const std::vector<Tensor> gradients = vjp.graph.append(
      OpId::SoftmaxAttentionGrad, {vjp.dy(), vjp.in(0), vjp.in(1), vjp.in(2), vjp.out(0), vjp.out(1)}, params);
  for (int i = 0; i < 3; ++i)
    if (vjp.wants(i)) vjp.set(i, gradients[static_cast<size_t>(i)]);
}

std::vector<Tensor> compose(Compose& c) {
  const SoftmaxAttentionParams& p = c.node.param<SoftmaxAttentionParams>();
  require(!p.stateful, "softmax_attention: a call with a state has no definition in simpler ops");
  const Tensor q = c.inputs[0], k = c.inputs[1], v = c.inputs[2];
  const int64_t batch = q.dim(0), tokens = q.dim(1), heads = q.dim(2), kv_heads = k.dim(2);
  const int32_t count = static_cast<int32_t>(tokens);
  const Tensor inside = window_mask(c.graph, {WindowKind::kSliding, p.window > 0 ? p.window : count, 0, 0, count});
  const Tensor products = reshape(matmul(by_group(q, kv_heads), permute(k, {0, 2, 1, 3}), false, true),
                                  make_shape({batch, heads, tokens, tokens}));
  const Tensor scores = soft_cap(affine(products, p.scale, 0), p.soft_cap);
  const Tensor masked = add(multiply(scores, inside), affine(inside, 1e8f, -1e8f));
  const Tensor maximum = reduce(masked, ReduceKind::kMax, -1);
  const Tensor e = multiply(unary(subtract(masked, maximum), UnaryKind::kExp), inside);
  const Tensor mass = reduce(e, ReduceKind::kSum, -1);
  const Tensor rows = reshape(e, make_shape({batch, kv_heads, heads / kv_heads * tokens, tokens}));
  const Tensor sums = reshape(matmul(rows, permute(v, {0, 2, 1, 3})), make_shape({batch, heads, tokens, v.dim(3)}));
  return {permute(divide(sums, mass), {0, 2, 1, 3}), permute(concat(maximum, mass, 3), {0, 2, 1, 3})};
}

// Multiply-adds of the forward op. A cache's length is not known while recording: at most its capacity.
double multiply_adds(const Graph& graph, const Shape& q, const SoftmaxAttentionParams& p, const Node& node) {
  double keys = 0.5 * static_cast<double>(q.dim[1]);
  if (p.stateful) keys = 0.5 * static_cast<double>(graph.value(node.inputs[4]).shape.dim[1]);
  if (p.window > 0) keys = std::min(keys, static_cast<double>(p.window));
  return 2 * static_cast<double>(elements(q)) * keys;
}

double cost(const Graph& graph, const Node& node) {
  const Shape& q = graph.value(node.inputs[0]).shape;
  const SoftmaxAttentionParams& p = node.param<SoftmaxAttentionParams>();
  return multiply_adds(graph, q, p, node) / (p.stateful && q.dim[1] == 1 ? 16 : 50);
}

double grad_cost(const Graph& graph, const Node& node) {
  const SoftmaxAttentionGradParams& p = node.param<SoftmaxAttentionGradParams>();
  return 2.5 * multiply_adds(graph, graph.value(node.inputs[1]).shape, p.forward, node) / 50;
}

size_t scratch(const Graph& graph, const Node& node) {
  const Shape &q = graph.value(node.inputs[0]).shape, &k = graph.value(node.inputs[1]).shape;
  return sizeof(float) * static_cast<size_t>(softmax_tiles(q.dim[3], q.dim[2] / k.dim[2], 16).floats);
}

size_t grad_scratch(const Graph& graph, const Node& node) {
  return sizeof(float) * static_cast<size_t>(softmax_grad_tiles(graph.value(node.inputs[1]).shape.dim[3], 16).floats);
}

}  // namespace

extern const OpInfo softmax_attention_info, softmax_attention_grad_info;
const OpInfo softmax_attention_info = {
    .name = "softmax_attention", .shape = shape, .vjp = vjp, .compose = compose, .cost = cost, .scratch = scratch};
const OpInfo softmax_attention_grad_info = {.name = "softmax_attention_grad",
                                            .shape = grad_shape,
                                            .cost = grad_cost,
                                            .scratch = grad_scratch,
                                            .gradient_of = "softmax_attention"};

SoftmaxAttention softmax_attention(Tensor q, Tensor k, Tensor v, const SoftmaxAttentionParams& params, Tensor position,
                                   Tensor state) {
  SoftmaxAttentionParams p = params;
  p.stateful = state ? 1 : 0;
  if (!state) {
    const std::vector<Tensor> out = q.graph->append(OpId::SoftmaxAttention, {q, k, v}, p);
    return {out[0], out[1], {}};
  }
  const std::vector<Tensor> out = q.graph->append(OpId::SoftmaxAttention, {q, k, v, position, state}, p);
  return {out[0], out[1], out[2]};
}

}  // namespace margay
