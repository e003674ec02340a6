// GGUF's Q8_0: 32 weights in 34 bytes. These scalar functions are its definition, bit for bit ggml's reference
// quantizer.
//
//   byte 0        2                                34
//        | half d | int8 q[0] ... q[31]            |      weight i = d * q[i]
//
// C headers only: kernels see this file.
#pragma once
#include <math.h>
#include <stdint.h>

#include "base/half.h"

namespace margay {

struct BlockQ8_0 {
  static constexpr int kLength = 32, kGroup = 32, kLowest = -128, kHighest = 127;
  uint16_t d;
  int8_t q[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

static inline void quantize_block(const float* x, BlockQ8_0* block) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  const float d = largest / 127, inverse = d != 0 ? 1 / d : 0;
  block->d = float_to_half(d);
  for (int i = 0; i < 32; ++i) {
    const float scaled =
        roundf(x[i] * inverse);  // beyond +-127 (or NaN, which becomes 0) only for broken or denormal input
    block->q[i] = static_cast<int8_t>(scaled > 127 ? 127 : scaled >= -127 ? scaled : scaled < -127 ? -127 : 0);
  }
}

static inline void dequantize_block(const BlockQ8_0& block, float* x) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 32; ++i) x[i] = d * block.q[i];
}

}  // namespace margay
