// Q8_ACT: a row of activations as the int8 kernels read it: symmetric int8 in blocks of 32, in four planes, so that a
// kernel streams each of them. 44 bytes for 32 elements; rows follow each other without padding.
//
//   | int8 q[K] | float scale[K / 32] | float sum[K / 32] | int16 half_sum[K / 16] |      x[i] = scale[i / 32] * q[i]
//
// half_sum are the sums of q over each 16, sum is scale times that over each 32: what a weight's offset multiplies.
// C headers only: kernels see this file.
#pragma once
#include <math.h>
#include <stdint.h>

namespace margay {

static inline int64_t activation_row_bytes(int64_t columns) { return columns / 32 * 44; }

// Bytes from a row's begin to its planes.
struct ActivationPlanes {
  int64_t scale, sum, half_sum;
};
static inline ActivationPlanes activation_planes(int64_t columns) {
  return {columns, columns + columns / 8, columns + columns / 4};
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
