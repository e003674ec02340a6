// hybrid_attention: shapes, gradient, and its definition.
#include <algorithm>

#include "ops/attention/checks.h"
#include "ops/attention/state.h"
#include "ops/attention/tiles.h"

namespace margay {
namespace {

void shape(ShapeRule& rule) {
  const HybridAttentionParams& p = rule.param<HybridAttentionParams>();
  rule.check(rule.inputs() == (p.stateful ? 8 : 6), "expected q, k, v, fq, fk, window_logit (and position, state)");
  const Shape q = rule.shape(0), k = rule.shape(1), fq = rule.shape(3), fk = rule.shape(4);  // out() moves them
  check_attention(rule, q, k, rule.shape(2));
  for (int i = 0; i < 6; ++i) rule.check(rule.in(i).dtype == DType::F32, "elements must be float32");
  rule.check(fq.rank == 4 && fq.dim[0] == q.dim[0] && fq.dim[1] == q.dim[1] && fq.dim[2] == q.dim[2],
             "fq must be [B, T, H, F]");
  rule.check(fk.rank == 4 && fk.dim[0] == q.dim[0] && fk.dim[1] == q.dim[1] && fk.dim[3] == fq.dim[3] &&
                 (fk.dim[2] == q.dim[2] || fk.dim[2] == k.dim[2]),
             "fk must be [B, T, H or HK, F]");
  rule.check(elements(rule.shape(5)) == q.dim[2], "expected one window_logit a query head");
  rule.check(p.window > 0 && p.phase >= 0 && p.phase < p.window, "expected window > 0 and 0 <= phase < window");
  rule.check(p.soft_cap >= 0, "the soft cap must not be negative");
  rule.out(q);
  rule.out(stats_shape(q));
  if (!p.stateful) return;
  rule.check(rule.in(6).dtype == DType::I32 && elements(rule.shape(6)) == q.dim[0],
             "expected one I32 position a sequence");
  const LinearStateLayout layout{fk.dim[2], k.dim[2], k.dim[3], fk.dim[3], p.kind == WindowKind::kNone ? 0 : p.window};
  rule.check(elements(rule.shape(7)) == layout.floats(),
             "the state must have LinearStateLayout{heads of fk, HK, D, F, window}.floats() elements");
  rule.out_alias(7);
}

void grad_shape(ShapeRule& rule) {
  const uint32_t wanted = rule.param<HybridAttentionGradParams>().wanted;
  for (int i = 0; i < 6; ++i) {
    Shape out = rule.shape(i + 1);
    if (i == 5) out = make_shape({rule.shape(1).dim[0], rule.shape(1).dim[2]});  // one a sequence: summed by the vjp
    rule.out(wanted >> i & 1 ? out : make_shape({0}));
  }
}

void vjp(Vjp& vjp) {
  const HybridAttentionParams& p = vjp.node.param<HybridAttentionParams>();
  require(!p.stateful, "hybrid_attention: a call with a state has no gradient");
  if (!vjp.dy()) return;
  HybridAttentionGradParams params{p, 0};
  for (int i = 0; i < 6; ++i) params.wanted |= vjp.wants(i) ? 1u << i : 0;
  const std::vector<Tensor> gradients = vjp.graph.append(
      OpId::HybridAttentionGrad,
      {vjp.dy(), vjp.in(0), vjp.in(1), vjp.in(2), vjp.in(3), vjp.in(4), vjp.in(5), vjp.out(0), vjp.out(1)}, params);
  for (int i = 0; i < 5; ++i)
    if (vjp.wants(i)) vjp.set(i, gradients[static_cast<size_t>(i)]);
  if (vjp.wants(5)) vjp.set(5, reshape(sum_to(gradients[5], make_shape({vjp.in(0).dim(2)})), vjp.in(5).shape()));
}

// The plain O(T^2) definition, all pairs of tokens.
std::vector<Tensor> compose(Compose& c) {
  const HybridAttentionParams& p = c.node.param<HybridAttentionParams>();
  require(!p.stateful, "hybrid_attention: a call with a state has no definition in simpler ops");
  const Tensor q = c.inputs[0], k = c.inputs[1], v = c.inputs[2], fq = c.inputs[3];
  Tensor fk = c.inputs[4];
  const int64_t batch = q.dim(0), tokens = q.dim(1), heads = q.dim(2), kv_heads = k.dim(2), maps = fk.dim(2);
  const Shape pairs = make_shape({batch, heads, tokens, tokens});
  const auto mask = [&](int linear) {
    return window_mask(c.graph, {p.kind, p.window, p.phase, linear, static_cast<int32_t>(tokens)});
  };
  // fk[t] belongs to key t - age; the last `age` keys are never linear terms.
  const int64_t age = p.kind == WindowKind::kNone ? 0 : std::min<int64_t>(p.window, tokens);
  if (age > 0) {
    const Tensor zeros = affine(slice(fk, 1, 0, age), 0, 0);
    fk = age == tokens ? zeros : concat(slice(fk, 1, age, tokens - age), zeros, 1);
  }
  const Tensor gamma = reshape(unary(c.inputs[5], UnaryKind::kSigmoid), make_shape({heads, 1, 1}));

  Tensor weights =
      multiply(reshape(matmul(by_group(fq, maps), permute(fk, {0, 2, 1, 3}), false, true), pairs), mask(1));
  if (p.affine) weights = multiply(weights, affine(gamma, -1, 1));
  if (p.window_only) weights = affine(weights, 0, 0);
  Tensor maximum;
  if (p.kind != WindowKind::kNone) {
    const Tensor inside = mask(0);
    const Tensor products = reshape(matmul(by_group(q, kv_heads), permute(k, {0, 2, 1, 3}), false, true), pairs);
    const Tensor scores = soft_cap(affine(products, p.scale, 0), p.soft_cap);
    const Tensor masked = add(multiply(scores, inside), affine(inside, 1e8f, -1e8f));
    maximum = reduce(masked, ReduceKind::kMax, -1);
    const Tensor e = multiply(unary(subtract(masked, maximum), UnaryKind::kExp), inside);
    weights = add(multiply(e, gamma), weights);
  }
  Tensor mass = reduce(weights, ReduceKind::kSum, -1);  // [B, H, T, 1]
  if (p.kind == WindowKind::kNone) {
    mass = affine(mass, 1, 1e-12f);
    maximum = affine(mass, 0, 0);
  }
  const Tensor rows = reshape(weights, make_shape({batch, kv_heads, heads / kv_heads * tokens, tokens}));
  const Tensor sums = reshape(matmul(rows, permute(v, {0, 2, 1, 3})), make_shape({batch, heads, tokens, v.dim(3)}));
  return {permute(divide(sums, mass), {0, 2, 1, 3}), permute(concat(maximum, mass, 3), {0, 2, 1, 3})};
}

// Multiply-adds of the forward op at about 50 a nanosecond.
double multiply_adds(const Shape& q, int64_t features, const HybridAttentionParams& p) {
  const double window = p.kind == WindowKind::kTerraced ? 1.5 * p.window : p.window;
  const double keys = std::min(window, static_cast<double>(q.dim[1]) + (p.stateful ? window : 0));
  return static_cast<double>(elements(q)) * (2 * keys + 2 * static_cast<double>(features));
}

double cost(const Graph& graph, const Node& node) {
  const Shape &q = graph.value(node.inputs[0]).shape, &fq = graph.value(node.inputs[3]).shape;
  const HybridAttentionParams& p = node.param<HybridAttentionParams>();
  // One token reads and writes its sums: memory, not arithmetic.
  return multiply_adds(q, fq.dim[3], p) / (p.stateful && q.dim[1] == 1 ? 8 : 50);
}

double grad_cost(const Graph& graph, const Node& node) {
  const Shape &q = graph.value(node.inputs[1]).shape, &fq = graph.value(node.inputs[4]).shape;
  const HybridAttentionGradParams& p = node.param<HybridAttentionGradParams>();
  return multiply_adds(q, fq.dim[3], p.forward) / 50 * (p.wanted & 7 ? 2.5 : 1.5);
}

size_t scratch(const Graph& graph, const Node& node) {
  const Shape &q = graph.value(node.inputs[0]).shape, &fq = graph.value(node.inputs[3]).shape;
  return sizeof(float) *
         static_cast<size_t>(hybrid_tiles(q.dim[3], fq.dim[3], node.param<HybridAttentionParams>().window, 16).floats);
}

size_t grad_scratch(const Graph& graph, const Node& node) {
  const Shape &q = graph.value(node.inputs[1]).shape, &fq = graph.value(node.inputs[4]).shape;
  const int64_t window = node.param<HybridAttentionGradParams>().forward.window;
  return sizeof(float) * static_cast<size_t>(hybrid_grad_tiles(q.dim[3], fq.dim[3], window, 16).floats);
}

}  // namespace

extern const OpInfo hybrid_attention_info, hybrid_attention_grad_info;
const OpInfo hybrid_attention_info = {
    .name = "hybrid_attention", .shape = shape, .vjp = vjp, .compose = compose, .cost = cost, .scratch = scratch};
const OpInfo hybrid_attention_grad_info = {.name = "hybrid_attention_grad",
                                           .shape = grad_shape,
                                           .cost = grad_cost,
                                           .scratch = grad_scratch,
                                           .gradient_of = "hybrid_attention"};

HybridAttention hybrid_attention(Tensor q, Tensor k, Tensor v, Tensor fq, Tensor fk, Tensor window_logit,
                                 const HybridAttentionParams& params, Tensor position, Tensor state) {
  HybridAttentionParams p = params;
  p.stateful = state ? 1 : 0;
  if (!state) {
    const std::vector<Tensor> out = q.graph->append(OpId::HybridAttention, {q, k, v, fq, fk, window_logit}, p);
    return {out[0], out[1], {}};
  }
  const std::vector<Tensor> out =
      q.graph->append(OpId::HybridAttention, {q, k, v, fq, fk, window_logit, position, state}, p);
  return {out[0], out[1], out[2]};
}

}  // namespace margay
