#include "ops/cases.h"

namespace margay {

void add_layer_norm_cases(CaseList& cases) {
  const auto add_case = [&](int64_t rows, int64_t length, float offset, bool train, bool bench = false) {
    cases.push_back({.name = fmt::format("layer_norm {}x{} around {}{}", rows, length, offset, train ? "" : " frozen"),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor x = g.random({rows, length}, offset - 2, offset + 2);
                           const Tensor weight = g.random({length}, 0.5f, 1.5f, train);
                           return std::vector{layer_norm(x, weight, g.random({length}, -1, 1, train), 1e-5f)};
                         },
                     .tolerance = offset == 0 ? 1e-5 : 1e-4,
                     .bench = bench});
  };
  for (const int64_t length : {2, 7, 15, 16, 17, 33, 37}) add_case(3, length, 0, true);
  add_case(67, 65, 0, true);
  add_case(3, 37, 100, false);                                            // a mean far above the deviation
  cases.push_back({.name = "layer_norm 3x1", .build = [](CaseGraph& g) {  // the bias alone
                     const Tensor x = g.random({3, 1}, -2, 2, false);
                     return std::vector{layer_norm(x, g.random({1}), g.random({1}), 1e-5f)};
                   }});
  cases.push_back({.name = "layer_norm in place", .build = [](CaseGraph& g) {
                     const Tensor x = affine(g.random({3, 37}), 3, 0.5f);
                     return std::vector{affine(layer_norm(x, g.random({37}), g.random({37}), 1e-5f), 2, 0)};
                   }});
  add_case(1, 2560, 0, false, true);
  add_case(512, 2560, 0, false, true);
}

}  // namespace margay
