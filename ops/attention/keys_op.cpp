// aged_keys and window_mask.
#include "ops/attention/state.h"
#include "ops/ops.h"

namespace margay {
namespace {

// --- aged_keys ------------------------------------------------------------------------------------------------------
void aged_shape(ShapeRule& rule) {
  const AgedKeysParams& p = rule.param<AgedKeysParams>();
  rule.check(
      rule.inputs() == (p.stateful ? 3 : 1) && rule.shape(0).rank == 4 && rule.in(0).dtype == DType::F32 && p.age >= 0,
      "expected keys [B, T, HK, D] float32 (and, with a state, positions [B])");
  if (p.stateful) {
    const LinearStateLayout layout{p.heads, rule.shape(0).dim[2], rule.shape(0).dim[3], p.features, p.window};
    rule.check(rule.in(1).dtype == DType::I32 && elements(rule.shape(1)) == rule.shape(0).dim[0],
               "expected one I32 position a sequence");
    rule.check(p.age <= layout.ring() && elements(rule.shape(2)) == layout.floats(),
               "the state must have LinearStateLayout{key maps, HK, D, features, window}.floats() elements");
  }
  rule.out(rule.shape(0));
}

void aged_vjp(Vjp& vjp) {
  const AgedKeysParams& p = vjp.node.param<AgedKeysParams>();
  require(!p.stateful, "aged_keys: a call with a state has no gradient");
  vjp.set(0, vjp.graph.append(OpId::AgedKeysGrad, {vjp.dy()}, p)[0]);
}

std::vector<Tensor> aged_compose(Compose& c) {
  const int64_t tokens = c.inputs[0].dim(1), age = std::min<int64_t>(c.node.param<AgedKeysParams>().age, tokens);
  const Tensor k = c.inputs[0];
  if (age == 0) return {affine(k, 1, 0)};
  const Tensor none = affine(slice(k, 1, 0, age), 0, 0);
  return {age == tokens ? none : concat(none, slice(k, 1, 0, tokens - age), 1)};
}

std::vector<Tensor> aged_grad_compose(Compose& c) {
  const int64_t tokens = c.inputs[0].dim(1), age = std::min<int64_t>(c.node.param<AgedKeysParams>().age, tokens);
  const Tensor dy = c.inputs[0];
  if (age == 0) return {affine(dy, 1, 0)};
  const Tensor none = affine(slice(dy, 1, 0, age), 0, 0);
  return {age == tokens ? none : concat(slice(dy, 1, age, tokens - age), none, 1)};
}

void aged_grad_shape(ShapeRule& rule) { rule.out(rule.shape(0)); }

double aged_cost(const Graph& graph, const Node& node) {
  return 20 + 0.1 * static_cast<double>(elements(graph.value(node.outputs[0]).shape));
}

// --- window_mask ----------------------------------------------------------------------------------------------------
void mask_shape(ShapeRule& rule) {
  const WindowMaskParams& p = rule.param<WindowMaskParams>();
  rule.check(p.tokens > 0 && p.window > 0 && p.phase >= 0 && p.phase < p.window,
             "expected window > 0, 0 <= phase < window");
  rule.out(make_shape({p.tokens, p.tokens}));
}

void mask_reference(const Reference& r) {
  const WindowMaskParams& p = r.node.param<WindowMaskParams>();
  for (int64_t n = 0; n < p.tokens; ++n)
    for (int64_t j = 0; j < p.tokens; ++j)
      r.out[0]->data[static_cast<size_t>(n * p.tokens + j)] =
          window_has(p.kind, p.window, p.phase, p.linear != 0, n, j);
}

}  // namespace

extern const OpInfo aged_keys_info, aged_keys_grad_info, window_mask_info;
const OpInfo aged_keys_info = {
    .name = "aged_keys", .shape = aged_shape, .vjp = aged_vjp, .compose = aged_compose, .cost = aged_cost};
const OpInfo aged_keys_grad_info = {.name = "aged_keys_grad",
                                    .shape = aged_grad_shape,
                                    .compose = aged_grad_compose,
                                    .cost = aged_cost,
                                    .gradient_of = "aged_keys"};
const OpInfo window_mask_info = {.name = "window_mask", .shape = mask_shape, .reference = mask_reference};

Tensor aged_keys(Tensor k, int age, Tensor position, Tensor state, const HybridAttentionParams& layout, int64_t heads,
                 int64_t features) {
  if (age == 0) return k;
  const AgedKeysParams params{age, state ? 1 : 0, layout.kind == WindowKind::kNone ? 0 : layout.window,
                              static_cast<int32_t>(heads), static_cast<int32_t>(features)};
  if (!state) return k.graph->append(OpId::AgedKeys, {k}, params)[0];
  return k.graph->append(OpId::AgedKeys, {k, position, state}, params)[0];
}

Tensor window_mask(Graph& graph, const WindowMaskParams& params) {
  return graph.append(OpId::WindowMask, {}, params)[0];
}

}  // namespace margay
