#include "ops/cases.h"

namespace margay {

void add_norm_cases(CaseList& cases) {
  const auto add_case = [&](int64_t rows, int64_t length, bool train_weight, bool bench = false) {
    cases.push_back({.name = fmt::format("rms_norm {}x{}{}", rows, length, train_weight ? "" : " frozen weight"),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor x = g.random({rows, length}, -2, 2);
                           return std::vector{rms_norm(x, g.random({length}, 0.5f, 1.5f, train_weight), 1e-5f)};
                         },
                     .bench = bench});
  };
  for (const int64_t length : {7, 15, 16, 17, 33, 37}) add_case(3, length, true);
  add_case(1, 384, true);
  add_case(67, 65, true);  // several partial sums of the weight's gradient
  add_case(3, 37, false);
  cases.push_back({.name = "rms_norm 3x1",  // y = sign(x) but for epsilon: a small one leaves no gradient to compare
                   .build = [](CaseGraph& g) {
                     const Tensor x = g.random({3, 1}, -2, 2);
                     return std::vector{rms_norm(x, g.random({1}, 0.5f, 1.5f), 0.5f)};
                   }});
  cases.push_back({.name = "rms_norm of heads 2x3x5x16", .build = [](CaseGraph& g) {
                     const Tensor x = g.random({2, 3, 5, 16});
                     return std::vector{rms_norm(x, g.random({16}), 1e-6f)};
                   }});
  cases.push_back({.name = "rms_norm weight alone", .build = [](CaseGraph& g) {
                     const Tensor x = g.random({35, 17}, -1, 1, false);
                     return std::vector{rms_norm(x, g.random({17}), 1e-6f)};
                   }});
  cases.push_back({.name = "rms_norm in place", .build = [](CaseGraph& g) {
                     const Tensor x = affine(g.random({3, 37}), 3, 0.5f);
                     return std::vector{affine(rms_norm(x, g.random({37}), 1e-5f), 2, 0)};
                   }});
  cases.push_back({.name = "rms_norm of small values", .build = [](CaseGraph& g) {
                     const Tensor x = g.random({3, 37}, -1e-3f, 1e-3f);  // epsilon weighs as much as they do
                     return std::vector{rms_norm(x, g.random({37}), 1e-6f)};
                   }});
  add_case(1, 384, true, true);
  add_case(1024, 384, true, true);
}

}  // namespace margay
