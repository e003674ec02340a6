// GGUF's Q4_1: 32 weights in 20 bytes. These scalar functions are its definition.
//
//   byte 0        2        4                                20
//        | half d | half m | uint8 q[0] ... q[15]           |
//
//   weight i      = d * (q[i] & 15) + m      i < 16: low nibbles first
//   weight i + 16 = d * (q[i] >> 4) + m
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ4_1 {
  static constexpr int kLength = 32, kGroup = 32, kLowest = 0, kHighest = 15;
  static constexpr Scheme kScheme = Scheme::kAffine;
  uint16_t d, m;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

template <int kBias>
static inline void split_levels(const BlockQ4_1& block, uint8_t* q, float* scale, float* shift) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<uint8_t>((block.q[i] & 15) + kBias);
    q[i + 16] = static_cast<uint8_t>((block.q[i] >> 4) + kBias);
  }
  scale[0] = scale[1] = half_to_float(block.d);
  shift[0] = shift[1] = half_to_float(block.m);
}

static inline void join_levels(const Parts<BlockQ4_1>& parts, BlockQ4_1* block) {
  block->d = parts.d;
  block->m = parts.m;
  for (int i = 0; i < 16; ++i) block->q[i] = static_cast<uint8_t>(parts.level[i] | parts.level[i + 16] << 4);
}

}  // namespace margay
