#include "ops/cases.h"

namespace margay {

// The leaves are updated in place: a case's outputs are the leaves after one run.
void add_optimizer_cases(CaseList& cases) {
  const auto add_accumulate = [&](int64_t count, bool bench = false) {
    cases.push_back({.name = fmt::format("accumulate {}", count),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor sum = g.random({count}, -1, 1, false), x = g.random({count}, -1, 1, false);
                           return std::vector{accumulate(sum, x, 0.125f)};
                         },
                     .gradient = false,
                     .bench = bench});
  };
  const auto add_adamw = [&](int64_t count, int32_t step, float decay, bool bench = false) {
    cases.push_back({.name = fmt::format("adamw {} step {} decay {}", count, step, decay),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor parameter = g.random({count}, -1, 1, false),
                                        gradient = g.random({count}, -1, 1, false);
                           const Tensor m = g.random({count}, -0.1f, 0.1f, false),
                                        v = g.random({count}, 0, 0.1f, false);
                           const float values[2] = {0.01f, static_cast<float>(step)};
                           const Tensor hyper = g.graph.constant(make_shape({2}), values);
                           const AdamWParams params{0.9f, 0.999f, 1e-8f, decay};
                           return g.graph.append(OpId::AdamW, {parameter, gradient, m, v, hyper}, params);
                         },
                     .gradient = false,
                     .bench = bench});
  };
  for (const int64_t count : {1, 7, 15, 16, 17, 33, 37, 1100}) {
    add_accumulate(count);
    add_adamw(count, 1, 0.1f);
  }
  add_adamw(37, 1000, 0);
  add_accumulate(384 * 1024, true);
  add_adamw(384 * 1024, 10, 0.1f, true);
}

}  // namespace margay
