#include "ops/cases.h"

#include <cstring>

#include "ops/quant/convert.h"

namespace margay {
namespace {

// SplitMix64: good enough for test data, the same everywhere.
uint64_t next(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

std::vector<float> uniform(uint64_t& seed, int64_t count, float low, float high) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = low + (high - low) * static_cast<float>(next(seed) >> 40) * 0x1p-24f;
  return values;
}

}  // namespace

Tensor CaseGraph::random(std::initializer_list<int64_t> dims, float low, float high, bool differentiable) {
  const Tensor leaf = random_weight(dims, DType::F32, low, high);
  if (differentiable) differentiable_.push_back(leaf);
  return leaf;
}

Tensor CaseGraph::random_weight(std::initializer_list<int64_t> dims, DType dtype, float low, float high) {
  const Shape shape = make_shape(dims);
  const std::vector<float> values = uniform(seed_, elements(shape), low, high);
  const int64_t length = row_length(shape), bytes = row_bytes(dtype, length);
  memory_.push_back(std::make_unique<char[]>(static_cast<size_t>(row_count(shape) * bytes)));
  char* memory = memory_.back().get();
  for (int64_t row = 0; row < row_count(shape); ++row)
    quantize_row(dtype, values.data() + row * length, memory + row * bytes, length);
  return graph.weight(fmt::format("leaf{}", memory_.size()), shape, dtype, memory);
}

Tensor CaseGraph::integers(std::initializer_list<int64_t> dims, int32_t low, int32_t high) {
  std::vector<int32_t> values(static_cast<size_t>(elements(make_shape(dims))));
  for (int32_t& value : values) value = low + static_cast<int32_t>(next(seed_) % static_cast<uint64_t>(high - low));
  return integers(dims, std::move(values));
}

Tensor CaseGraph::integers(std::initializer_list<int64_t> dims, std::vector<int32_t> values) {
  memory_.push_back(std::make_unique<char[]>(values.size() * sizeof(int32_t)));
  std::memcpy(memory_.back().get(), values.data(), values.size() * sizeof(int32_t));
  return graph.weight(fmt::format("leaf{}", memory_.size()), make_shape(dims), DType::I32, memory_.back().get());
}

#define MARGAY_CASES(folder) void add_##folder##_cases(CaseList& cases);
#define MARGAY_CASE_FOLDERS(X) \
  X(primitive)                 \
  X(embedding) X(linear) X(norm) X(layer_norm) X(rope) X(swiglu) X(gelu) X(feature) X(attention) X(loss) X(optimizer)
MARGAY_CASE_FOLDERS(MARGAY_CASES)
#undef MARGAY_CASES

CaseList all_cases() {
  CaseList cases;
#define MARGAY_CASES(folder) add_##folder##_cases(cases);
  MARGAY_CASE_FOLDERS(MARGAY_CASES)
#undef MARGAY_CASES
  return cases;
}

}  // namespace margay
