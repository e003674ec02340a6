#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace margay {
namespace {

// What the bits of a binary16 mean, by the definition.
double half_value(uint16_t h) {
  const int exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
  const double sign = h & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa ? std::nan("") : sign * INFINITY;
  return sign * (exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24));
}

TEST(Half, EveryValueMakesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const float value = half_to_float(h);
    if (std::isnan(half_value(h))) {
      ASSERT_TRUE(std::isnan(value));
      ASSERT_TRUE(std::isnan(half_to_float(float_to_half(value))));
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), half_value(h));
    ASSERT_EQ(float_to_half(value), h);
  }
}

TEST(Half, RoundsToNearestEven) {
  // Between every two neighbours: just below the middle, the middle, just above it.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const auto middle = static_cast<float>((half_value(h) + half_value(static_cast<uint16_t>(h + 1))) / 2);
    const uint16_t even = h & 1 ? h + 1 : h;
    for (const float sign : {1.0f, -1.0f}) {
      const uint16_t s = sign < 0 ? 0x8000 : 0;
      ASSERT_EQ(float_to_half(sign * middle), even | s);
      ASSERT_EQ(float_to_half(sign * std::nextafter(middle, 0.0f)), h | s);
      ASSERT_EQ(float_to_half(sign * std::nextafter(middle, INFINITY)), (h + 1) | s);
    }
  }
  EXPECT_EQ(float_to_half(65519.9f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(1e30f), 0x7c00);
  EXPECT_EQ(float_to_half(1e-30f), 0);
}

TEST(Bf16, EveryValueMakesTheRoundTripAndRounds) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const float value = bf16_to_float(h);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(bf16_to_float(float_to_bf16(value))));
      continue;
    }
    ASSERT_EQ(float_to_bf16(value), h);
    if (std::isinf(value)) continue;
    const uint32_t exact = bits << 16;
    ASSERT_EQ(float_to_bf16(bits_to_float(exact | 0x7fff)), h);
    ASSERT_EQ(float_to_bf16(bits_to_float(exact | 0x8000)), h & 1 ? h + 1 : h);
    ASSERT_EQ(float_to_bf16(bits_to_float(exact | 0x8001)), h + 1);
  }
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(bits_to_float(0x7f800001)))));
}

}  // namespace
}  // namespace margay
