#include "ops/cases.h"

namespace margay {

void add_gelu_cases(CaseList& cases) {
  const auto add_case = [&](int64_t rows, int64_t length, float range, bool bench = false) {
    cases.push_back({.name = fmt::format("gelu {}x{} of {}", rows, length, range),
                     .build =
                         [=](CaseGraph& g) {
                           return std::vector{gelu(g.random({rows, length}, -range, range))};
                         },
                     .bench = bench});
  };
  for (const int64_t length : {1, 7, 15, 16, 17, 33, 37, 400}) add_case(3, length, 4);
  add_case(3, 37, 60);  // far in the tails
  cases.push_back({.name = "gelu in place", .build = [](CaseGraph& g) {
                     return std::vector{affine(gelu(affine(g.random({3, 37}), 2, 0)), 3, 0)};
                   }});
  add_case(1, 10240, 4, true);
  add_case(512, 10240, 4, true);
}

}  // namespace margay
