// How near the quantizers come to what they are given: beside llama.cpp's (data/quant/make_quantizer_golden.py), and as
// a property of their own.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/dtype.h"
#include "formats/gguf.h"
#include "ops/quant/convert.h"
#include "tests/test_data.h"

namespace margay {
namespace {

constexpr size_t kRows = 48, kColumns = 512;
constexpr DType kTypes[] = {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0,   DType::Q2_K,
                            DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS};

// The i-th number of the stream, as hashes() of the script.
uint64_t hash(uint64_t seed, size_t i) {
  uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double normal(uint64_t seed, size_t i) {
  uint64_t sum = 0;
  for (size_t word = 3 * i; word < 3 * i + 3; ++word)
    for (int part = 0; part < 64; part += 16) sum += hash(seed, word) >> part & 0xffff;
  return static_cast<double>(sum) / 65536 - 6;
}

using Values = std::vector<float>;

std::map<std::string, Values> make_tensors() {
  std::map<std::string, Values> tensors;
  for (size_t i = 0; i < kRows * kColumns; ++i) {
    const double n = normal(1, i), u = static_cast<double>(hash(2, i) >> 11) * 0x1p-53;
    tensors["normal"].push_back(static_cast<float>(0.02 * n));
    tensors["heavy"].push_back(static_cast<float>(n * (0.01 + (u * u) * (u * u))));
    tensors["shifted"].push_back(static_cast<float>(0.02 * n + 0.01));
  }
  const GgufFile file(std::string(MARGAY_SOURCE) + "/models/bundled/base-16m-q8_0.gguf");
  const TensorEntry& weight = file.tensor("blk.3.ffn_down.weight");
  const size_t bytes = weight.bytes / static_cast<size_t>(weight.shape[0]);
  for (size_t row = 0; row < kRows; ++row) {
    std::vector<std::byte> source(weight.data + row * bytes, weight.data + (row + 1) * bytes);
    Values values(static_cast<size_t>(weight.shape[1]));
    dequantize_row(weight.dtype, source.data(), values.data(), weight.shape[1]);
    tensors["bundled"].insert(tensors["bundled"].end(), values.begin(), values.begin() + kColumns);
  }
  return tensors;
}

const std::map<std::string, Values>& tensors() {
  static const std::map<std::string, Values> made = make_tensors();
  return made;
}

const Values& importance() {
  static const Values made = [] {
    std::vector<double> values;
    double sum = 0;
    for (size_t i = 0; i < kColumns; ++i) {
      const double n = normal(3, i);
      values.push_back((0.05 + n * n) * (hash(4, i) % 64 == 0 ? 40 : 1));
      sum += values.back();
    }
    Values result;
    for (const double value : values) result.push_back(static_cast<float>(value / (sum / kColumns)));
    return result;
  }();
  return made;
}

std::vector<char> quantize(DType type, const Values& x, const float* weights = nullptr, Isa isa = chosen_isa()) {
  const auto bytes = static_cast<size_t>(row_bytes(type, kColumns));
  std::vector<char> blocks(bytes * (x.size() / kColumns));
  for (size_t row = 0; row < x.size() / kColumns; ++row)
    quantize_row(type, x.data() + row * kColumns, blocks.data() + row * bytes, kColumns, weights, isa);
  return blocks;
}

Values dequantize(DType type, const std::vector<char>& blocks, size_t count) {
  Values result(count);
  dequantize_row(type, blocks.data(), result.data(), static_cast<int64_t>(count));
  return result;
}

// The root of the mean of weight x squared difference.
double rmse(const Values& a, const Values& b, const Values& weights = Values(kColumns, 1.f)) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += weights[i % kColumns] * std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

class Quantizers : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, Quantizers, testing::ValuesIn(kTypes),
                         [](const auto& info) { return std::string(type_name(info.param)); });

TEST_P(Quantizers, ErrorIsNotAboveThatOfLlamaCpp) {
  std::ifstream file(test::data("quant/quantizer_golden.json"));
  const nlohmann::json golden = nlohmann::json::parse(file)[type_name(GetParam())];
  ASSERT_EQ(golden.size(), tensors().size());
  for (const auto& [name, x] : tensors()) {
    SCOPED_TRACE(name);
    const double plain = rmse(dequantize(GetParam(), quantize(GetParam(), x), x.size()), x);
    const Values weighed = dequantize(GetParam(), quantize(GetParam(), x, importance().data()), x.size());
    EXPECT_LE(plain, golden[name]["rmse"].get<double>() * (1 + 1e-9));
    EXPECT_LE(rmse(weighed, x, importance()), golden[name]["weighted_rmse"].get<double>() * (1 + 1e-9));
  }
}

TEST_P(Quantizers, AnImportanceMatrixMovesTheErrorToWhatMattersLess) {
  const Values& x = tensors().at("normal");
  const Values plain = dequantize(GetParam(), quantize(GetParam(), x), x.size());
  const Values weighed = dequantize(GetParam(), quantize(GetParam(), x, importance().data()), x.size());
  if (GetParam() == DType::Q8_0) {
    EXPECT_EQ(plain, weighed) << "Q8_0 is rounded";
    return;
  }
  EXPECT_LT(rmse(weighed, x, importance()), 0.95 * rmse(plain, x, importance()));
  EXPECT_GT(rmse(weighed, x), rmse(plain, x));
}

// Weights that a type can hold stay what they are: exactly where every group has scales of its own. The groups of a
// super-block can share their values between scale, shift and levels in several ways, of which the search finds a good
// one; what a second round loses is little beside the first one's error.
TEST_P(Quantizers, QuantizingTwiceIsQuantizingOnce) {
  const TypeInfo& info = type_info(GetParam());
  const bool exact = GetParam() == DType::IQ4_XS ||
                     (info.block_length == 32 && GetParam() != DType::Q4_1 && GetParam() != DType::Q5_1);
  for (const auto& [name, x] : tensors()) {
    SCOPED_TRACE(name);
    const Values once = dequantize(GetParam(), quantize(GetParam(), x), x.size());
    const Values twice = dequantize(GetParam(), quantize(GetParam(), once), x.size());
    if (exact) EXPECT_EQ(once, twice);
    else EXPECT_LE(rmse(once, twice), 0.2 * rmse(once, x));
  }
}

TEST_P(Quantizers, SameBitsOnEveryInstructionSet) {
  const Values& all = tensors().at("heavy");
  const Values x(all.begin(), all.begin() + 4 * kColumns);
  for (int i = 1; i < kIsaCount; ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (!isa_available(isa)) continue;
    EXPECT_EQ(quantize(GetParam(), x, nullptr, Isa::kGeneric), quantize(GetParam(), x, nullptr, isa)) << isa_name(isa);
    EXPECT_EQ(quantize(GetParam(), x, importance().data(), Isa::kGeneric),
              quantize(GetParam(), x, importance().data(), isa))
        << isa_name(isa);
  }
}

// A row's blocks are quantized some at a time; what stands beside a block does not matter to it.
TEST_P(Quantizers, BlocksDoNotDependOnTheirNeighbours) {
  const Values& all = tensors().at("heavy");
  const int64_t length = type_info(GetParam()).block_length;
  const auto bytes = static_cast<size_t>(type_info(GetParam()).block_bytes);
  const int64_t blocks = length == 32 ? 19 : 3;  // no multiple of those that are done at a time
  std::vector<char> whole(static_cast<size_t>(blocks) * bytes), single(bytes);
  quantize_row(GetParam(), all.data(), whole.data(), blocks * length);
  for (int64_t b = 0; b < blocks; ++b) {
    quantize_row(GetParam(), all.data() + b * length, single.data(), length);
    EXPECT_TRUE(std::equal(single.begin(), single.end(), whole.begin() + b * static_cast<int64_t>(bytes))) << b;
  }
}

}  // namespace
}  // namespace margay
