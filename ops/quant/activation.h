// Q8_ACT: a row of activations as the int8 kernels read it: symmetric int8 in blocks of 32, in three planes, so that a
// kernel streams each of them. 40 bytes for 32 elements; rows follow each other without padding.
//
//   | int8 q[K] | float scale[K / 32] | int32 offset[K / 32] |      x[i] = scale[i / 32] * q[i]
//
// offset = -8 * (sum of the block's q): 4-bit weights go into the unsigned operand of the dot product as q + 8, and the
// accumulator starts at the offset, which takes the 8 back. 8-bit weights go in as q + 128: 16 times the offset.
// C headers only: kernels see this file.
#pragma once
#include <math.h>
#include <stdint.h>

namespace margay {

static inline int64_t activation_row_bytes(int64_t columns) { return columns / 32 * 40; }

struct ActivationRow {
  const int8_t* q;
  const float* scale;
  const int32_t* offset;
};

static inline ActivationRow activation_row(const void* rows, int64_t row, int64_t columns) {
  const char* p = static_cast<const char*>(rows) + row * activation_row_bytes(columns);
  return {reinterpret_cast<const int8_t*>(p), reinterpret_cast<const float*>(p + columns),
          reinterpret_cast<const int32_t*>(p + columns + columns / 8)};
}

// Blocks whose largest magnitude is below this count as zero: 127 / magnitude would overflow.
constexpr float kSmallestActivation = 1e-30f;

// The definition: quantizes one block of 32 and returns its scale.
static inline float quantize_activation(const float* x, int8_t* q) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  const bool tiny = largest < kSmallestActivation;
  const float inverse = tiny ? 0 : 127 / largest;
  for (int i = 0; i < 32; ++i) {
    const float scaled = rintf(x[i] * inverse);  // nearest even, as cvtps2dq
    q[i] = static_cast<int8_t>(scaled > 127     ? 127
                               : scaled >= -128 ? scaled
                                                : -128);  // NaN: -128, as saturation makes it
  }
  return tiny ? 0 : largest / 127;
}

}  // namespace margay
