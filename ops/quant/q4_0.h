// GGUF's Q4_0: 32 weights in 18 bytes. These scalar functions are its definition.
//
//   byte 0        2                                       18
//        | half d | uint8 q[0] ... q[15]                  |
//
//   weight i      = d * ((q[i] & 15) - 8)      i < 16: low nibbles first
//   weight i + 16 = d * ((q[i] >> 4) - 8)
//
// d may be negative: that puts a positive weight at -8, the longer end. C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ4_0 {
  static constexpr int kLength = 32, kGroup = 32, kLowest = -8, kHighest = 7;
  static constexpr Scheme kScheme = Scheme::kSymmetric;
  uint16_t d;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

static inline void join_levels(const Parts<BlockQ4_0>& parts, BlockQ4_0* block) {
  block->d = parts.d;
  for (int i = 0; i < 16; ++i) block->q[i] = static_cast<uint8_t>(parts.level[i] | parts.level[i + 16] << 4);
}

static inline void dequantize_block(const BlockQ4_0& block, float* x) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 16; ++i) {
    x[i] = d * static_cast<float>((block.q[i] & 15) - 8);
    x[i + 16] = d * static_cast<float>((block.q[i] >> 4) - 8);
  }
}

}  // namespace margay
