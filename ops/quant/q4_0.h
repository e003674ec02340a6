// GGUF's Q4_0: 32 weights in 18 bytes. These scalar functions are its definition, bit for bit ggml's reference
// quantizer.
//
//   byte 0        2                                       18
//        | half d | uint8 q[0] ... q[15]                  |
//
//   weight i      = d * ((q[i] & 15) - 8)      i < 16: low nibbles first
//   weight i + 16 = d * ((q[i] >> 4) - 8)
//
// d carries the sign that puts the weight of largest magnitude at -8, the longer end. C headers only: kernels see this
// file.
#pragma once
#include <math.h>
#include <stdint.h>

#include "base/half.h"

namespace margay {

struct BlockQ4_0 {
  static constexpr int kLength = 32, kGroup = 32, kLowest = -8, kHighest = 7;
  uint16_t d;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

static inline void quantize_block(const float* x, BlockQ4_0* block) {
  float magnitude = 0, extreme = 0;
  for (int i = 0; i < 32; ++i) {
    if (!(fabsf(x[i]) > magnitude)) continue;
    magnitude = fabsf(x[i]);
    extreme = x[i];
  }
  const float d = extreme / -8, inverse = d != 0 ? 1 / d : 0;
  block->d = float_to_half(d);
  uint8_t nibble[32];
  for (int i = 0; i < 32; ++i) {
    const float shifted =
        x[i] * inverse + 8.5f;  // out of [0, 17) (or NaN, which becomes 0) only for broken or denormal input
    nibble[i] = static_cast<uint8_t>(shifted >= 16 ? 15 : shifted > 0 ? shifted : 0);
  }
  for (int i = 0; i < 16; ++i) block->q[i] = static_cast<uint8_t>(nibble[i] | nibble[i + 16] << 4);
}

static inline void dequantize_block(const BlockQ4_0& block, float* x) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 16; ++i) {
    x[i] = d * static_cast<float>((block.q[i] & 15) - 8);
    x[i + 16] = d * static_cast<float>((block.q[i] >> 4) - 8);
  }
}

}  // namespace margay
