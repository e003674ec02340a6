#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ops/cases.h"
#include "ops/quant/blocks.h"

namespace margay {
namespace {

constexpr DType kTypes[] = {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0};
constexpr DType kLevelTypes[] = {DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q2_K,   DType::Q3_K,
                                 DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS};

// One product x [rows, k] * w [n, k]; float32 weights take part in the gradient check.
Case product(DType type, int64_t rows, int64_t k, int64_t n, bool float_products, bool bench) {
  Case c;
  c.name = fmt::format("linear {}{} {}x{} by {}", type_name(type), float_products ? " in float" : "", n, k, rows);
  c.build = [=](CaseGraph& g) {
    const Tensor x = g.random({rows, k});
    const Tensor w = type == DType::F32 ? g.random({n, k}) : g.random_weight({n, k}, type);
    return std::vector<Tensor>{linear(x, w, float_products)};
  };
  // int8 activations have no slope to compare with central differences.
  c.gradient = !bench && rows * k * n <= 4096 && (float_products || !type_info(type).quantized);
  c.bench = bench;
  return c;
}

// Every bit of the weights as in `byte`, all scales 1.
template <class Block>
void fill_blocks(Block* blocks, int64_t count, int byte) {
  std::memset(blocks, byte, static_cast<size_t>(count) * sizeof(Block));
  for (Block* block = blocks; block < blocks + count; ++block) {
    block->d = 0x3c00;
    if constexpr (requires { block->m; }) block->m = 0x3c00;
    if constexpr (requires { block->dmin; }) block->dmin = 0x3c00;
  }
}

// The largest products that there are, all of one sign: nothing may saturate or overflow on the way.
Case extreme_product(DType type, int64_t rows, int byte, float activation) {
  Case c;
  c.name = fmt::format("linear {} of bytes {:02x} times {} by {}", type_name(type), byte, activation, rows);
  c.build = [=](CaseGraph& g) {
    const int64_t n = 17, k = 512;
    const Tensor x = g.random({rows, k}), w = g.random_weight({n, k}, type);
    std::fill_n(static_cast<float*>(g.leaf_data(x)), rows * k, activation);
    const int64_t blocks = n * k / type_info(type).block_length;
    switch (type) {
#define MARGAY_CASE(type)                                                 \
  case DType::type:                                                       \
    fill_blocks(static_cast<Block##type*>(g.leaf_data(w)), blocks, byte); \
    break;
      MARGAY_BLOCK_TYPES(MARGAY_CASE)
#undef MARGAY_CASE
      default:
        break;
    }
    return std::vector<Tensor>{linear(x, w)};
  };
  c.gradient = false;
  return c;
}

Case gradient_product(DType type, int64_t rows, int64_t k, int64_t n, bool bench) {
  Case c;
  c.name = fmt::format("linear_grad {} {}x{} by {}", type_name(type), n, k, rows);
  c.build = [=](CaseGraph& g) {
    const Tensor dy = g.random({rows, n}), w = g.random_weight({n, k}, type);
    return g.graph.append(OpId::LinearGrad, {dy, w});
  };
  c.gradient = false;
  c.bench = bench;
  return c;
}

Case matrices(std::initializer_list<int64_t> a, std::initializer_list<int64_t> b, bool ta, bool tb,
              bool bench = false) {
  Case c;
  c.name = fmt::format("matmul {}{} {}{}", to_string(make_shape(a)), ta ? "^T" : "", to_string(make_shape(b)),
                       tb ? "^T" : "");
  c.build = [a = std::vector<int64_t>(a), b = std::vector<int64_t>(b), ta, tb](CaseGraph& g) {
    const auto leaf = [&](const std::vector<int64_t>& d) {
      return d.size() == 2   ? g.random({d[0], d[1]})
             : d.size() == 3 ? g.random({d[0], d[1], d[2]})
                             : g.random({d[0], d[1], d[2], d[3]});
    };
    const Tensor left = leaf(a), right = leaf(b);
    return std::vector<Tensor>{matmul(left, right, ta, tb)};
  };
  int64_t left = 1, right = 1;
  for (const int64_t d : a) left *= d;
  for (const int64_t d : b) right *= d;
  c.gradient = !bench && left + right < 500;
  c.bench = bench;
  return c;
}

}  // namespace

void add_linear_cases(CaseList& cases) {
  for (const DType type : kTypes) {
    const bool quantized = type_info(type).quantized;
    const std::vector<int64_t> lengths =
        quantized ? std::vector<int64_t>{32, 64, 96, 1056} : std::vector<int64_t>{1, 7, 37, 300};
    for (const int64_t k : lengths)
      for (const int64_t n : {1, 7, 33, 65})
        for (const int64_t rows : {1, 2, 3, 5, 16, 17, 33, 64, 70}) {
          if (rows > 5 && n < 33 && rows != 17) continue;  // the others add no new path
          cases.push_back(product(type, rows, k, n, !quantized, false));
          if (quantized && (rows == 3 || rows == 17)) cases.push_back(product(type, rows, k, n, true, false));
          if (rows == 5 || rows == 33) cases.push_back(gradient_product(type, rows, k, n, false));
        }
    cases.push_back(product(type, 530, quantized ? 2080 : 517, 34, !quantized, false));  // past every tile's border
    for (const int64_t rows : {1, 512})
      for (const auto& [n, k] : {std::pair<int64_t, int64_t>{2048, 2048}, {8192, 2048}, {2048, 8192}})
        cases.push_back(product(type, rows, k, n, !quantized, true));
    for (const int64_t rows : {1, 1024})
      for (const auto& [n, k] : {std::pair<int64_t, int64_t>{384, 384}, {1024, 384}, {384, 1024}, {8192, 384}}) {
        cases.push_back(product(type, rows, k, n, !quantized, true));
        if (rows > 1) cases.push_back(gradient_product(type, rows, k, n, true));
      }
  }
  for (const DType type : kLevelTypes)
    for (const int64_t blocks : {1, 3, 5}) {
      const int64_t k = blocks * type_info(type).block_length;
      for (const int64_t n : {7, 33})
        for (const int64_t rows : {1, 3, 5, 33}) {
          cases.push_back(product(type, rows, k, n, false, false));
          if (rows == 3 || rows == 33) cases.push_back(product(type, rows, k, n, true, false));
          if (rows >= 5) cases.push_back(gradient_product(type, rows, k, n, false));
        }
    }
  for (const DType type : kLevelTypes)
    for (const int64_t rows : {1, 512}) cases.push_back(product(type, rows, 2048, 2048, false, true));
  for (const DType type : {DType::Q4_0, DType::Q8_0, DType::Q4_K})
    for (const int64_t rows : {2, 4, 8, 16}) cases.push_back(product(type, rows, 2048, 2048, false, true));
#define MARGAY_TYPE(type) DType::type,
  for (const DType type : {MARGAY_BLOCK_TYPES(MARGAY_TYPE)})
#undef MARGAY_TYPE
    for (const int byte : {0xff, 0x80, 0x7f, 0x00})
      for (const float activation : {1.f, -1.f})
        for (const int64_t rows : {1, 8}) cases.push_back(extreme_product(type, rows, byte, activation));
  cases.push_back({"linear [2, 3, 37]", [](CaseGraph& g) {
                     const Tensor x = g.random({2, 3, 37}), w = g.random({9, 37});
                     return std::vector<Tensor>{linear(x, w)};
                   }});
  Case shared = {"two products of one quantized activation", [](CaseGraph& g) {
                   const Tensor x = g.random({6, 64}), a = g.random_weight({5, 64}, DType::Q4_0),
                                b = g.random_weight({7, 64}, DType::Q8_0);
                   return std::vector<Tensor>{linear(x, a), linear(x, b)};
                 }};
  shared.gradient = false;
  cases.push_back(shared);

  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const auto& [m, n, k] :
           {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {7, 5, 3}, {13, 17, 1}, {37, 33, 70}, {8, 65, 300}})
        cases.push_back(matrices({ta ? k : m, ta ? m : k}, {tb ? n : k, tb ? k : n}, ta, tb));
  cases.push_back(matrices({2, 3, 5, 4}, {2, 3, 4, 7}, false, false));
  cases.push_back(matrices({2, 3, 5, 4}, {2, 3, 7, 4}, false, true));
  cases.push_back(matrices({3, 5, 4}, {4, 7}, false, false));
  cases.push_back(matrices({5, 4}, {3, 4, 7}, false, false));
  cases.push_back(matrices({2, 1, 5, 4}, {1, 3, 4, 7}, false, false));
  for (const int64_t rank : {8, 16})
    for (const int64_t width : {384, 1024}) {  // the gradients of LoRA's factors
      cases.push_back(matrices({1024, rank}, {1024, width}, true, false, true));
      cases.push_back(matrices({1024, width}, {1024, rank}, true, false, true));
    }
}

}  // namespace margay
