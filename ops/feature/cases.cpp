#include "ops/cases.h"

namespace margay {
namespace {

void add_linear(CaseList& cases, int64_t batch, int64_t tokens, int64_t x_heads, int64_t heads, int64_t d, int64_t f,
                bool bias = false, bool bench = false) {
  cases.push_back({.name = fmt::format("head_linear {}x{}x{}x{} -> {}x{}{}", batch, tokens, x_heads, d, heads, f,
                                       bias ? " bias" : ""),
                   .build =
                       [=](CaseGraph& g) {
                         const Tensor x = g.random({batch, tokens, x_heads, d}), w = g.random({heads, f, d});
                         return std::vector{head_linear(x, w, bias ? g.random({heads}) : Tensor{})};
                       },
                   .bench = bench});
}

constexpr const char* kNames[] = {"softmax_full", "softmax_half", "exp_full", "exp_half", "relu", "elu1"};

void add_activation(CaseList& cases, FeatureKind kind, int64_t rows, int64_t f, float epsilon, float range,
                    bool bench = false) {
  cases.push_back(
      {.name = fmt::format("feature_activation {} {}x{} epsilon {}", kNames[static_cast<int>(kind)], rows, f, epsilon),
       .build =
           [=](CaseGraph& g) {
             return std::vector{feature_activation(g.random({rows, f}, -range, range), kind, epsilon)};
           },
       .bench = bench});
}

}  // namespace

void add_feature_cases(CaseList& cases) {
  add_linear(cases, 1, 1, 1, 1, 5, 3);
  add_linear(cases, 2, 7, 2, 2, 16, 8);
  add_linear(cases, 1, 37, 2, 6, 64, 64);
  add_linear(cases, 3, 1, 2, 4, 5, 64);
  add_linear(cases, 2, 65, 1, 4, 16, 37);
  add_linear(cases, 1, 300, 1, 2, 5, 3);
  add_linear(cases, 2, 5, 2, 2, 7, 8, true);
  for (int kind = 0; kind < 6; ++kind) {
    const FeatureKind map = static_cast<FeatureKind>(kind);
    for (const int64_t f : {1, 3, 8, 16, 37, 64})
      if (f > 1 || map >= FeatureKind::kRelu) add_activation(cases, map, 5, f, 1e-12f, 2);
    add_activation(cases, map, 7, 37, 0.02f, 4);                          // an epsilon that clamps some features
    if (map <= FeatureKind::kSoftmaxHalf) cases.back().gradient = false;  // right to within epsilon only
    add_activation(cases, map, 3, 16, 1e-12f, 60);
    add_activation(cases, map, 6 * 1024, 64, 1e-12f, 2, true);
  }
  add_linear(cases, 1, 1024, 6, 6, 64, 64, false, true);
  add_linear(cases, 1, 1024, 2, 6, 64, 64, false, true);
  add_linear(cases, 1, 1024, 32, 32, 64, 64, false, true);
  add_linear(cases, 1, 1, 6, 6, 64, 64, false, true);
}

}  // namespace margay
