#include "ops/cases.h"

namespace margay {

void add_loss_cases(CaseList& cases) {
  const auto add_cross_entropy = [&](int64_t rows, int32_t vocabulary, float range, bool bench = false) {
    cases.push_back({.name = fmt::format("cross_entropy {}x{} of {}", rows, vocabulary, range),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor logits = g.random({rows, vocabulary}, -range, range);
                           return std::vector{cross_entropy(logits, g.integers({rows}, 0, vocabulary))};
                         },
                     .bench = bench});
  };
  for (const int32_t vocabulary : {1, 7, 15, 16, 17, 33, 37}) add_cross_entropy(3, vocabulary, 4);
  add_cross_entropy(7, 5003, 4);  // several pieces of a row
  add_cross_entropy(3, 37, 100);  // sums that would overflow without the maximum
  cases.push_back({.name = "cross_entropy with ignored rows", .build = [](CaseGraph& g) {
                     const Tensor logits = g.random({5, 37}, -3, 3);
                     return std::vector{cross_entropy(logits, g.integers({5}, {-1, 0, 36, -100, 7}))};
                   }});
  cases.push_back({.name = "cross_entropy gradient in place", .build = [](CaseGraph& g) {
                     const Tensor logits = affine(g.random({5, 37}), 4, 1);
                     return std::vector{affine(cross_entropy(logits, g.integers({5}, 0, 37)), 0.2f, 0)};
                   }});
  add_cross_entropy(1024, 8192, 8, true);

  const auto add_squared_error = [&](int64_t rows, int64_t length, bool bench = false) {
    cases.push_back({.name = fmt::format("mean_squared_error {}x{}", rows, length),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor a = g.random({rows, length}), b = g.random({rows, length}, -1, 1, false);
                           return std::vector{mean_squared_error(a, b)};
                         },
                     .bench = bench});
  };
  for (const int64_t length : {1, 7, 15, 16, 17, 33, 37, 3001}) add_squared_error(3, length);
  add_squared_error(1024, 384, true);
}

}  // namespace margay
