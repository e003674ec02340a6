#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "ops/quant/activation.h"
#include "ops/quant/convert.h"
#include "ops/quant/q4_0.h"
#include "ops/quant/q8_0.h"
#include "tests/test_data.h"

namespace margay {
namespace {

std::vector<float> round_trip(DType type, const std::vector<float>& x) {
  const int64_t n = static_cast<int64_t>(x.size());
  std::vector<char> bytes(static_cast<size_t>(row_bytes(type, n)));
  quantize_row(type, x.data(), bytes.data(), n);
  std::vector<float> y(x.size());
  dequantize_row(type, bytes.data(), y.data(), n);
  return y;
}

std::vector<float> random_row(size_t n, float scale) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> x(n);
  for (float& v : x) v = uniform(random);
  return x;
}

TEST(Quant, Q8_0BlockByHand) {
  std::vector<float> x(32, 0.f);
  x[0] = 127, x[1] = -127, x[2] = 0.5f, x[3] = -0.5f, x[4] = 1.49f, x[5] = 2.5f;  // d = 1; halves round away from zero
  BlockQ8_0 block;
  quantize_row(DType::Q8_0, x.data(), &block, 32);
  EXPECT_EQ(block.d, 0x3c00);
  const int8_t expected[7] = {127, -127, 1, -1, 1, 3, 0};
  for (int i = 0; i < 7; ++i) EXPECT_EQ(block.q[i], expected[i]) << i;
}

TEST(Quant, Q4_0PositiveExtremeMakesTheScaleNegative) {
  std::vector<float> x(32, 0.f);
  x[5] = 4;
  BlockQ4_0 block;
  quantize_row(DType::Q4_0, x.data(), &block, 32);
  EXPECT_EQ(half_to_float(block.d), -0.5f);
  EXPECT_EQ(round_trip(DType::Q4_0, x)[5], 4);
}

TEST(Quant, Q8_0ErrorIsHalfAStep) {
  for (const float scale : {1e-3f, 1.f, 300.f}) {
    const std::vector<float> x = random_row(32 * 50, scale), y = round_trip(DType::Q8_0, x);
    for (size_t b = 0; b < x.size(); b += 32) {
      float largest = 0;
      for (size_t i = b; i < b + 32; ++i) largest = std::max(largest, std::fabs(x[i]));
      // The rounding of d to half: 2^-11 of the value, or of the smallest normal half's step.
      for (size_t i = b; i < b + 32; ++i)
        EXPECT_LE(std::fabs(y[i] - x[i]), largest / 127 * 0.501f + largest * 5e-4f + 127 * 3e-8f);
    }
  }
}

TEST(Quant, FloatsOf16Bits) {
  const std::vector<float> x = random_row(1000, 10), half = round_trip(DType::F16, x),
                           bf16 = round_trip(DType::BF16, x);
  EXPECT_EQ(round_trip(DType::F32, x), x);
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_LE(std::fabs(half[i] - x[i]), std::fabs(x[i]) / 2048 + 3e-8f);
    EXPECT_LE(std::fabs(bf16[i] - x[i]), std::fabs(x[i]) / 256);
  }
}

TEST(Quant, ZerosStayZero) {
  const std::vector<float> zeros(64, 0.f);
  for (const DType type : {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0})
    EXPECT_EQ(round_trip(type, zeros), zeros);
  int8_t q[32];
  EXPECT_EQ(quantize_activation(zeros.data(), q), 0);
  EXPECT_EQ(q[31], 0);
}

TEST(Quant, BrokenNumbersDoNotCrash) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float denormal = std::numeric_limits<float>::denorm_min(), huge = std::numeric_limits<float>::max();
  for (const float broken : {infinity, -infinity, nan, denormal, -denormal, huge, 1e-39f}) {
    std::vector<float> x(32, 1.f);
    x[3] = broken;
    round_trip(DType::Q8_0, x);
    round_trip(DType::Q4_0, x);
    const std::vector<float> all(32, broken);
    round_trip(DType::Q8_0, all);
    round_trip(DType::Q4_0, all);
    int8_t q[32];
    quantize_activation(x.data(), q);
    quantize_activation(all.data(), q);
  }
}

TEST(Quant, ActivationErrorIsHalfAStep) {
  const std::vector<float> x = random_row(32, 3);
  int8_t q[32];
  const float scale = quantize_activation(x.data(), q);
  for (size_t i = 0; i < 32; ++i) EXPECT_LE(std::fabs(scale * static_cast<float>(q[i]) - x[i]), scale * 0.5001f);
}

constexpr DType kQuantized[] = {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0,   DType::Q2_K,
                                DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS};

class QuantType : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Quant, QuantType, testing::ValuesIn(kQuantized),
                         [](const auto& info) { return std::string(type_name(info.param)); });

// Random blocks and what the Python package gguf makes of them, bit for bit (data/quant/make_golden.py).
TEST_P(QuantType, DequantizesAsGguf) {
  std::string name = type_name(GetParam());
  for (char& c : name) c = static_cast<char>(tolower(c));
  std::ifstream file(test::data("quant/" + name + ".bin"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const TypeInfo& info = type_info(GetParam());
  const size_t one = static_cast<size_t>(info.block_bytes + 4 * info.block_length), count = bytes.size() / one;
  ASSERT_GE(count, 3u);
  std::vector<float> expected(count * static_cast<size_t>(info.block_length)), actual(expected.size());
  std::memcpy(expected.data(), bytes.data() + count * static_cast<size_t>(info.block_bytes), expected.size() * 4);
  dequantize_row(GetParam(), bytes.data(), actual.data(), static_cast<int64_t>(actual.size()));
  EXPECT_EQ(expected, actual);
}

TEST_P(QuantType, ZerosAndConstantsAndBrokenNumbers) {
  const std::vector<float> zeros(256, 0.f);
  EXPECT_EQ(round_trip(GetParam(), zeros), zeros);
  const std::vector<float> ones = round_trip(GetParam(), std::vector<float>(256, 1.f));
  for (const float v : ones) EXPECT_NEAR(v, 1, 0.02);
  for (const float broken : {HUGE_VALF, -HUGE_VALF, NAN, 1e-45f, -1e-45f, 3e38f, 1e-39f, 1e20f, -1e20f}) {
    std::vector<float> x(256, 1.f);
    x[3] = broken;
    round_trip(GetParam(), x);  // finite or not, no crash
    round_trip(GetParam(), std::vector<float>(256, broken));
  }
  // What is too large must not become something else: converting checks for this.
  for (const float large : {1e20f, -1e20f, 3e38f}) {
    std::vector<float> x(512, 1.f);
    x[300] = large;
    const std::vector<float> y = round_trip(GetParam(), x);
    EXPECT_TRUE(std::any_of(y.begin() + 256, y.end(), [](float v) { return !std::isfinite(v); })) << large;
  }
}

TEST(Quant, TypesThatAreNotThereAreNamed) {
  float x[256] = {};
  try {
    dequantize_row(DType::I8, x, x, 256);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("I8"), std::string::npos) << e.what();
  }
  EXPECT_THROW(quantize_row(DType::I32, x, x, 32), Error);
  EXPECT_THROW(quantize_row(DType::Q8_0, x, x, 31), Error);
}

}  // namespace
}  // namespace margay
