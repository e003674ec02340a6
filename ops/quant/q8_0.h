// GGUF's Q8_0: 32 weights in 34 bytes. These scalar functions are its definition.
//
//   byte 0        2                                34
//        | half d | int8 q[0] ... q[31]            |      weight i = d * q[i]
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ8_0 {
  static constexpr int kLength = 32, kGroup = 32, kLowest = -128, kHighest = 127;
  static constexpr Scheme kScheme = Scheme::kSymmetric;
  uint16_t d;
  int8_t q[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

static inline void join_levels(const Parts<BlockQ8_0>& parts, BlockQ8_0* block) {
  block->d = parts.d;
  for (int i = 0; i < 32; ++i) block->q[i] = static_cast<int8_t>(parts.level[i] - 128);
}

static inline void dequantize_block(const BlockQ8_0& block, float* x) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 32; ++i) x[i] = d * block.q[i];
}

}  // namespace margay
