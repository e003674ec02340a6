#include <fmt/format.h>

#include "ops/cases.h"

namespace margay {

void add_embedding_cases(CaseList& cases) {
  for (const DType type :
       {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1,
        DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS})
    for (const int64_t columns : {1, 7, 37, 32, 96, 256, 768, 1056}) {
      if (columns % type_info(type).block_length != 0) continue;
      Case c;
      c.name = fmt::format("embedding {} of {}", type_name(type), columns);
      c.build = [=](CaseGraph& g) {
        const Tensor table = g.random_weight({11, columns}, type), ids = g.integers({2, 5}, 0, 11);
        return std::vector<Tensor>{embedding(table, ids)};
      };
      c.tolerance = type_info(type).quantized ? 3e-7 : 1e-7;  // an fma may round scale * level + shift
      c.gradient = false;
      cases.push_back(c);
    }
  for (const int64_t tokens : {1, 1024}) {
    Case c;
    c.name = fmt::format("embedding Q8_0 of 384 by {}", tokens);
    c.build = [=](CaseGraph& g) {
      const Tensor table = g.random_weight({8192, 384}, DType::Q8_0), ids = g.integers({tokens}, 0, 8192);
      return std::vector<Tensor>{embedding(table, ids)};
    };
    c.tolerance = 1e-7;
    c.gradient = false;
    c.bench = true;
    cases.push_back(c);
  }
}

}  // namespace margay
