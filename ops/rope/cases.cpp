#include "ops/cases.h"

namespace margay {

void add_rope_cases(CaseList& cases) {
  const auto add_table = [&](int64_t rows, int dimensions, double base, int32_t first, bool factors, bool bench = false,
                             float magnitude = 1) {
    cases.push_back({.name = fmt::format("rope_table {} positions from {}, {} dimensions{}{}", rows, first, dimensions,
                                         factors ? ", factors" : "", magnitude != 1 ? ", magnitude" : ""),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor positions = g.integers({rows}, first, first + 1000);
                           const Tensor divide = factors ? g.random({dimensions / 2}, 1, 8, false) : Tensor{};
                           return std::vector{rope_table(positions, dimensions, base, divide, magnitude)};
                         },
                     .gradient = false,
                     .bench = bench});
  };
  add_table(1, 2, 10000, 0, false);
  add_table(7, 16, 10000, 0, false);
  add_table(3, 64, 500000, 1000000, true);
  add_table(37, 34, 10000, 0, true);
  add_table(1, 128, 10000, 5, false);
  add_table(7, 34, 10000, 0, true, false, 1.25f);
  add_table(1024, 64, 10000, 0, false, true);

  const auto add_case = [&](int64_t b, int64_t t, int64_t h, int64_t d, int dimensions, bool half_split,
                            bool bench = false) {
    cases.push_back({.name = fmt::format("rope {}x{}x{}x{} rotating {} {}", b, t, h, d, dimensions,
                                         half_split ? "halves" : "neighbours"),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor table = g.random({b * t, dimensions}, -1, 1, false);
                           return std::vector{rope(g.random({b, t, h, d}), table, half_split)};
                         },
                     .bench = bench});
  };
  for (const bool half_split : {false, true}) {
    add_case(1, 1, 1, 2, 2, half_split);
    add_case(2, 3, 5, 14, 14, half_split);
    add_case(1, 7, 3, 37, 34, half_split);
    add_case(2, 1, 3, 33, 16, half_split);
    add_case(1, 5, 1, 64, 64, half_split);
    cases.push_back(
        {.name = half_split ? "rope in place halves" : "rope in place neighbours", .build = [half_split](CaseGraph& g) {
           const Tensor table = rope_table(g.integers({6}, 0, 100), 16, 10000);
           const Tensor x = affine(g.random({2, 3, 2, 19}), 2, 1);
           return std::vector{affine(rope(x, table, half_split), 3, 0)};
         }});
    add_case(1, 1024, 6, 64, 64, half_split, true);
  }
}

}  // namespace margay
