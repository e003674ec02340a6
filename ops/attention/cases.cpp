#include <cmath>

#include "ops/cases.h"

namespace margay {
namespace {

struct HybridCase {
  WindowKind kind;
  int32_t window;
  int64_t batch, tokens, heads, kv_heads, maps, d, f;
  int32_t phase = 0, affine = 0, window_only = 0;
  // Which inputs are trained: all, those of stage 1 (feature maps and window factors), or none but q, k, v.
  enum { kAll, kStage1, kStage2 } trained = kAll;
  float soft_cap = 0;
};

constexpr const char* kKinds[] = {"none", "sliding", "terraced"};
constexpr const char* kTrained[] = {"", " stage 1", " stage 2"};

// stats is an output to compare, but not to differentiate through.
void add_hybrid(CaseList& cases, const HybridCase& c, bool gradient, bool bench = false) {
  const std::string name = fmt::format(
      "hybrid_attention {} w{} {}x{} heads {}/{}/{} d{} f{}{}{}{}{}{}{}", kKinds[static_cast<int>(c.kind)], c.window,
      c.batch, c.tokens, c.heads, c.kv_heads, c.maps, c.d, c.f, c.phase ? fmt::format(" phase {}", c.phase) : "",
      c.affine ? " affine" : "", c.window_only ? " window only" : "", c.soft_cap > 0 ? " capped" : "",
      kTrained[c.trained], gradient ? " gradient" : "");
  const auto build = [c, gradient, bench](CaseGraph& g) {
    const bool attention = c.trained != HybridCase::kStage1, maps = c.trained != HybridCase::kStage2;
    const float spread = std::sqrt(3.f);
    const Tensor q = g.random({c.batch, c.tokens, c.heads, c.d}, -spread, spread, attention);
    const Tensor k = g.random({c.batch, c.tokens, c.kv_heads, c.d}, -spread, spread, attention);
    const Tensor v = g.random({c.batch, c.tokens, c.kv_heads, c.d}, -1, 1, attention);
    const Tensor fq = g.random({c.batch, c.tokens, c.heads, c.f}, 0, 0.5f);
    const Tensor fk = g.random({c.batch, c.tokens, c.maps, c.f}, 0, 0.5f);
    const Tensor logit = g.random({c.heads}, -3, 1, maps && c.kind != WindowKind::kNone);
    const HybridAttentionParams params{
        c.kind, c.window, c.phase, c.affine, c.window_only, 0, 1 / std::sqrt(static_cast<float>(c.d)), c.soft_cap};
    const HybridAttention out = hybrid_attention(q, k, v, fq, fk, logit, params);
    if (gradient || bench) return std::vector{out.y};
    return std::vector{out.y, out.stats};
  };
  cases.push_back({.name = name, .build = build, .gradient = gradient, .bench = bench});
}

void add_softmax(CaseList& cases, int64_t batch, int64_t tokens, int64_t heads, int64_t kv_heads, int64_t d,
                 int32_t window, bool gradient, bool bench = false, float soft_cap = 0) {
  const auto build = [=](CaseGraph& g) {
    const Tensor q = g.random({batch, tokens, heads, d}, -2, 2), k = g.random({batch, tokens, kv_heads, d}, -2, 2);
    const Tensor v = g.random({batch, tokens, kv_heads, d});
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    const SoftmaxAttention out =
        softmax_attention(q, k, v, {.scale = scale, .stateful = 0, .window = window, .soft_cap = soft_cap});
    if (gradient || bench) return std::vector{out.y};
    return std::vector{out.y, out.stats};
  };
  cases.push_back({.name = fmt::format("softmax_attention {}x{} heads {}/{} d{} window {}{}{}", batch, tokens, heads,
                                       kv_heads, d, window, soft_cap > 0 ? " capped" : "", gradient ? " gradient" : ""),
                   .build = build,
                   .gradient = gradient,
                   .bench = bench});
}

void add_keys(CaseList& cases, int64_t tokens, int age) {
  cases.push_back({.name = fmt::format("aged_keys {} tokens age {}", tokens, age), .build = [=](CaseGraph& g) {
                     return std::vector{aged_keys(g.random({2, tokens, 2, 5}), age)};
                   }});
}

void add_mask(CaseList& cases, const WindowMaskParams& p) {
  cases.push_back({.name = fmt::format("window_mask {} w{} phase {} {} tokens {}", kKinds[static_cast<int>(p.kind)],
                                       p.window, p.phase, p.tokens, p.linear ? "linear" : "window"),
                   .build = [p](CaseGraph& g) { return std::vector{window_mask(g.graph, p)}; },
                   .gradient = false});
}

}  // namespace

void add_attention_cases(CaseList& cases) {
  constexpr WindowKind kAllKinds[] = {WindowKind::kNone, WindowKind::kSliding, WindowKind::kTerraced};
  for (const WindowKind kind : kAllKinds) {
    for (const int32_t linear : {0, 1})
      add_mask(cases, {kind, 4, 0, linear, 13}), add_mask(cases, {kind, 4, 3, linear, 13});
    // Forward: lengths around the window, head groups, odd sizes.
    for (const int64_t tokens : {1, 7, 37, 64, 65, 130}) {
      add_hybrid(cases, {kind, 4, 2, tokens, 2, 1, 2, 5, 3}, false);
      add_hybrid(cases, {kind, 16, 1, tokens, 4, 2, 2, 16, 8}, false);
      add_hybrid(cases, {kind, 64, 1, tokens, 4, 1, 4, 16, 64}, false);
    }
    add_hybrid(cases, {kind, 64, 1, 300, 2, 1, 1, 64, 128}, false);
    add_hybrid(cases, {kind, 100, 1, 333, 2, 2, 2, 16, 8}, false);  // blocks of two segments
    add_hybrid(cases, {kind, 1, 1, 9, 2, 1, 2, 5, 3}, false);
    add_hybrid(cases, {kind, 16, 1, 130, 2, 1, 2, 16, 8, 5, 1}, false);
    add_hybrid(cases, {kind, 64, 1, 200, 2, 1, 1, 16, 8, 56}, false);
    add_hybrid(cases, {kind, 100, 1, 333, 2, 1, 1, 5, 3, 33, 1}, false);
    // Gradients.
    for (const auto trained : {HybridCase::kAll, HybridCase::kStage1, HybridCase::kStage2}) {
      add_hybrid(cases, {kind, 4, 2, 13, 2, 1, 2, 5, 3, 0, 0, 0, trained}, true);
      add_hybrid(cases, {kind, 4, 1, 19, 4, 2, 2, 5, 3, 3, 1, 0, trained}, true);
      add_hybrid(cases, {kind, 16, 1, 65, 2, 2, 2, 16, 8, 0, 1, 0, trained}, true);
    }
    add_hybrid(
        cases,
        {kind, 4, 1, 3, 2, 1, 2, 5, 3, 0, 0, 0, kind == WindowKind::kNone ? HybridCase::kAll : HybridCase::kStage2},
        true);
    add_hybrid(cases, {kind, 64, 1, 130, 2, 1, 1, 16, 64}, true);
    add_hybrid(cases, {kind, 70, 1, 215, 2, 1, 2, 5, 3, 9}, true);  // blocks of two segments
    if (kind == WindowKind::kNone) continue;
    add_hybrid(cases, {kind, 16, 1, 65, 2, 1, 2, 16, 8, 0, 0, 1}, false);
    add_hybrid(cases, {kind, 4, 1, 13, 2, 1, 2, 5, 3, 0, 1, 1, HybridCase::kStage2}, true);
    add_hybrid(cases, {kind, 16, 1, 65, 4, 2, 2, 16, 8, 0, 0, 0, HybridCase::kAll, 1.5f}, false);
    for (const auto trained : {HybridCase::kAll, HybridCase::kStage2})
      add_hybrid(cases, {kind, 4, 1, 19, 4, 2, 2, 5, 3, 3, 0, 0, trained, 1.5f}, true);
  }
  for (const int32_t window : {0, 5, 70}) {
    for (const int64_t tokens : {1, 4, 7, 37, 64, 65, 130}) add_softmax(cases, 2, tokens, 4, 2, 16, window, false);
    add_softmax(cases, 1, 200, 4, 1, 5, window, false);
    add_softmax(cases, 1, 70, 3, 3, 64, window, false);
    add_softmax(cases, 2, 7, 2, 1, 5, window, true);
    add_softmax(cases, 1, 130, 4, 2, 16, window, true);
    for (const int64_t tokens : {1, 37, 65}) add_softmax(cases, 1, tokens, 4, 2, 16, window, false, false, 2);
    add_softmax(cases, 1, 67, 4, 2, 5, window, true, false, 2);
  }
  for (const int64_t tokens : {1, 7, 37})
    for (const int age : {1, 4, 16}) add_keys(cases, tokens, age);

  // base-16m and Llama 3.2 1B.
  for (const WindowKind kind : kAllKinds) {
    add_hybrid(cases, {kind, 64, 1, 1024, 6, 2, 6, 64, 128, 0, 0, 0, HybridCase::kStage1}, true, true);
    add_hybrid(cases, {kind, 64, 1, 1024, 6, 2, 6, 64, 128}, true, true);
  }
  add_hybrid(cases, {WindowKind::kTerraced, 64, 1, 1024, 6, 2, 2, 64, 128}, true, true);
  add_hybrid(cases, {WindowKind::kTerraced, 64, 1, 1024, 32, 8, 32, 64, 128}, true, true);
  add_softmax(cases, 1, 1024, 6, 2, 64, 0, true, true);
  add_softmax(cases, 1, 1024, 32, 8, 64, 0, true, true);
}

}  // namespace margay
