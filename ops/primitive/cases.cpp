#include <string>
#include <utility>

#include "ops/cases.h"

namespace margay {
namespace {

using Dims = std::initializer_list<int64_t>;

std::string text(const std::vector<int64_t>& dims) {
  std::string result;
  for (const int64_t dim : dims) result += fmt::format("{}{}", result.empty() ? "" : "x", dim);
  return result;
}

void add_unary(CaseList& cases) {
  struct Row {
    UnaryKind kind;
    const char* name;
    float low, high;
  };
  for (const Row& row : {Row{UnaryKind::kExp, "exp", -4, 4}, Row{UnaryKind::kLog, "log", 0.2f, 9},
                         Row{UnaryKind::kSqrt, "sqrt", 0.1f, 9}, Row{UnaryKind::kReciprocal, "reciprocal", 0.5f, 3},
                         Row{UnaryKind::kSigmoid, "sigmoid", -9, 9}, Row{UnaryKind::kRelu, "relu positive", 0.1f, 2},
                         Row{UnaryKind::kRelu, "relu negative", -2, -0.1f}})
    for (const int64_t n : {1, 7, 15, 16, 17, 33, 37, 1100})
      cases.push_back({.name = fmt::format("unary {} {}", row.name, n), .build = [row, n](CaseGraph& g) {
                         return std::vector{unary(g.random({n}, row.low, row.high), row.kind)};
                       }});
  cases.push_back({.name = "unary relu both signs",
                   .build =
                       [](CaseGraph& g) {
                         return std::vector{unary(g.random({3, 37}), UnaryKind::kRelu)};
                       },
                   .gradient = false});
  cases.push_back({.name = "unary exp of large and small",
                   .build =
                       [](CaseGraph& g) {
                         return std::vector{unary(g.random({3, 37}, -80, 80), UnaryKind::kExp),
                                            unary(g.random({3, 37}, -80, -1), UnaryKind::kExp)};
                       },
                   .gradient = false});
  for (const int64_t n : {1, 17, 37, 1100})
    cases.push_back({.name = fmt::format("affine {}", n),
                     .build = [n](CaseGraph& g) { return std::vector{affine(g.random({n}), -1.5f, 0.25f)}; }});
  cases.push_back({.name = "unary in place", .build = [](CaseGraph& g) {
                     const Tensor y = affine(g.random({5, 37}), 0.5f, 0.1f);
                     return std::vector{affine(unary(y, UnaryKind::kSigmoid), 2, -1)};
                   }});
  cases.push_back({.name = "unary exp 1x1024x384",
                   .build =
                       [](CaseGraph& g) {
                         return std::vector{unary(g.random({1, 1024, 384}), UnaryKind::kExp)};
                       },
                   .bench = true});
}

void add_binary_case(CaseList& cases, BinaryKind kind, const char* name, std::vector<int64_t> a, std::vector<int64_t> b,
                     bool bench = false) {
  const auto leaf = [](CaseGraph& g, const std::vector<int64_t>& dims) {
    switch (dims.size()) {
      case 1:
        return g.random({dims[0]}, 0.5f, 2);
      case 2:
        return g.random({dims[0], dims[1]}, 0.5f, 2);
      case 3:
        return g.random({dims[0], dims[1], dims[2]}, 0.5f, 2);
      default:
        return g.random({dims[0], dims[1], dims[2], dims[3]}, 0.5f, 2);
    }
  };
  cases.push_back({.name = fmt::format("binary {} {} with {}", name, text(a), text(b)),
                   .build =
                       [=](CaseGraph& g) {
                         const Tensor x = leaf(g, a), y = leaf(g, b);
                         return std::vector{binary(x, y, kind)};
                       },
                   .gradient = kind != BinaryKind::kMaximum,
                   .bench = bench});
}

void add_binary(CaseList& cases) {
  struct Row {
    BinaryKind kind;
    const char* name;
  };
  for (const Row& row :
       {Row{BinaryKind::kAdd, "add"}, Row{BinaryKind::kSubtract, "subtract"}, Row{BinaryKind::kMultiply, "multiply"},
        Row{BinaryKind::kDivide, "divide"}, Row{BinaryKind::kMaximum, "maximum"}})
    for (const auto& [a, b] :
         std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>>{{{1}, {1}},
                                                                            {{7}, {7}},
                                                                            {{3, 37}, {3, 37}},
                                                                            {{3, 37}, {37}},
                                                                            {{3, 37}, {1}},
                                                                            {{3, 37}, {3, 1}},
                                                                            {{3, 1}, {1, 17}},
                                                                            {{5, 33}, {1, 1}},
                                                                            {{2, 1, 5, 16}, {3, 1, 16}},
                                                                            {{2, 3, 5, 15}, {3, 1, 15}},
                                                                            {{2, 1, 5, 1}, {2, 3, 1, 17}},
                                                                            {{4, 100, 3}, {100, 3}}})
      add_binary_case(cases, row.kind, row.name, a, b);
  cases.push_back({.name = "binary with itself", .build = [](CaseGraph& g) {
                     const Tensor x = affine(g.random({3, 37}), 2, 1);
                     return std::vector{add(multiply(x, x), x)};
                   }});
  add_binary_case(cases, BinaryKind::kAdd, "add", {1, 1024, 384}, {1, 1024, 384}, true);
  add_binary_case(cases, BinaryKind::kMultiply, "multiply", {1, 1024, 384}, {384}, true);
}

void add_reduce(CaseList& cases) {
  for (const ReduceKind kind : {ReduceKind::kSum, ReduceKind::kMax})
    for (const int axis : {0, 1, -1}) {
      const bool sum = kind == ReduceKind::kSum;
      const auto add_case = [&](int64_t a, int64_t b, int64_t c) {
        cases.push_back({.name = fmt::format("reduce {} {}x{}x{} axis {}", sum ? "sum" : "max", a, b, c, axis),
                         .build =
                             [=](CaseGraph& g) {
                               return std::vector{reduce(g.random({a, b, c}), kind, axis)};
                             },
                         .gradient = sum});
      };
      add_case(1, 1, 1);
      add_case(3, 7, 37);
      add_case(5, 2, 1);
      add_case(2, 17, 16);
      add_case(300, 3, 66);
      add_case(2, 3, 5001);
    }
  const auto add_sum_to = [&](Dims from, Shape to, bool bench = false) {
    const std::vector<int64_t> dims(from);
    cases.push_back({.name = fmt::format("sum_to {} to {}", text(dims), to_string(to)),
                     .build =
                         [=](CaseGraph& g) {
                           const Tensor x = dims.size() == 2 ? g.random({dims[0], dims[1]})
                                                             : g.random({dims[0], dims[1], dims[2], dims[3]});
                           return std::vector{sum_to(x, to)};
                         },
                     .bench = bench});
  };
  add_sum_to({7, 37}, make_shape({37}));
  add_sum_to({7, 37}, make_shape({1}));
  add_sum_to({7, 37}, make_shape({7, 1}));
  add_sum_to({300, 130}, make_shape({130}));
  add_sum_to({2, 3, 5, 17}, make_shape({3, 1, 17}));
  add_sum_to({2, 3, 5, 17}, make_shape({2, 1, 5, 1}));
  add_sum_to({2, 3, 5, 17}, make_shape({1, 3, 1, 17}));
  add_sum_to({2, 3, 5, 17}, make_shape({3, 5, 17}));
  add_sum_to({2, 3, 5, 17}, make_shape({1, 1, 1, 1}));
  add_sum_to({1024, 384}, make_shape({384}), true);
  cases.push_back({.name = "reduce sum 1x1024x384 axis 2",
                   .build =
                       [](CaseGraph& g) {
                         return std::vector{reduce(g.random({1, 1024, 384}), ReduceKind::kSum, 2)};
                       },
                   .bench = true});
}

void add_layout(CaseList& cases) {
  cases.push_back({.name = "reshape 3x14 to 7x6", .build = [](CaseGraph& g) {
                     const Tensor y = reshape(affine(g.random({3, 14}), 2, 1), make_shape({7, 6}));
                     return std::vector{affine(y, 3, 0)};
                   }});
  const auto add_permute = [&](int64_t a, int64_t b, int64_t c, int64_t d, int i, int j, int k, int l) {
    cases.push_back(
        {.name = fmt::format("permute {}x{}x{}x{} to {}{}{}{}", a, b, c, d, i, j, k, l), .build = [=](CaseGraph& g) {
           return std::vector{permute(g.random({a, b, c, d}), {i, j, k, l})};
         }});
  };
  add_permute(1, 1, 1, 1, 3, 2, 1, 0);
  add_permute(2, 7, 3, 16, 0, 2, 1, 3);
  add_permute(2, 7, 3, 17, 3, 0, 2, 1);
  add_permute(2, 7, 3, 37, 1, 3, 0, 2);
  cases.push_back({.name = "permute 37x33 transposed", .build = [](CaseGraph& g) {
                     return std::vector{permute(g.random({37, 33}), {1, 0})};
                   }});
  for (const int axis : {0, 1, 2}) {
    cases.push_back({.name = fmt::format("slice 5x7x37 axis {}", axis), .build = [axis](CaseGraph& g) {
                       const Tensor x = g.random({5, 7, 37});
                       return std::vector{slice(x, axis, 1, 3), slice(x, axis, 0, 1), slice(x, axis - 3, 4, 1)};
                     }});
    cases.push_back({.name = fmt::format("concat axis {}", axis), .build = [axis](CaseGraph& g) {
                       const Tensor a = g.random({3, 7, 17});
                       const Tensor b = g.random({axis == 0 ? 1 : 3, axis == 1 ? 1 : 7, axis == 2 ? 33 : 17});
                       return std::vector{concat(a, b, axis), concat(b, a, axis - 3)};
                     }});
  }
  cases.push_back({.name = "slice at the axis' ends", .build = [](CaseGraph& g) {
                     const Tensor x = g.random({3, 300});
                     return std::vector{slice(x, 1, 0, 300), slice(x, 1, 299, 1)};
                   }});
  cases.push_back({.name = "permute 1x1024x6x64 heads first",
                   .build =
                       [](CaseGraph& g) {
                         return std::vector{permute(g.random({1, 1024, 6, 64}), {0, 2, 1, 3})};
                       },
                   .bench = true});
  cases.push_back({.name = "concat 1x1024x384 twice",
                   .build =
                       [](CaseGraph& g) {
                         const Tensor a = g.random({1, 1024, 384}), b = g.random({1, 1024, 384});
                         return std::vector{concat(a, b, 2)};
                       },
                   .bench = true});
}

}  // namespace

void add_primitive_cases(CaseList& cases) {
  add_unary(cases);
  add_binary(cases);
  add_reduce(cases);
  add_layout(cases);
}

}  // namespace margay
