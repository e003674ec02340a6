#include "ops/cases.h"

namespace margay {

void add_swiglu_cases(CaseList& cases) {
  const auto add_case = [&](int64_t rows, int64_t length, float range, bool bench = false) {
    cases.push_back({.name = fmt::format("swiglu {}x{} of {}", rows, length, range),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor gate = g.random({rows, length}, -range, range), up = g.random({rows, length});
                           return std::vector{swiglu(gate, up)};
                         },
                     .bench = bench});
  };
  for (const int64_t length : {1, 7, 15, 16, 17, 33, 37, 400}) add_case(3, length, 4);
  add_case(3, 37, 60);  // a saturated sigmoid
  cases.push_back({.name = "swiglu in place", .build = [](CaseGraph& g) {
                     const Tensor gate = affine(g.random({3, 37}), 2, 0), up = affine(g.random({3, 37}), 1, 1);
                     return std::vector{affine(swiglu(gate, up), 3, 0)};
                   }});
  cases.push_back({.name = "swiglu of one tensor twice", .build = [](CaseGraph& g) {
                     const Tensor x = affine(g.random({3, 37}), 2, 0);
                     return std::vector{swiglu(x, x)};
                   }});
  add_case(1, 1024, 4, true);
  add_case(1024, 1024, 4, true);
}

}  // namespace margay
