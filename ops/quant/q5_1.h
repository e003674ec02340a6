// GGUF's Q5_1: 32 weights in 24 bytes. These scalar functions are its definition.
//
//   byte 0        2        4              8                                24
//        | half d | half m | uint32 high  | uint8 q[0] ... q[15]           |
//
//   weight i = d * (nibble i + 16 * (bit i of high)) + m, nibbles as in Q4_0
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/q5_0.h"

namespace margay {

struct BlockQ5_1 {
  static constexpr int kLength = 32, kGroup = 32, kLowest = 0, kHighest = 31;
  static constexpr Scheme kScheme = Scheme::kAffine;
  uint16_t d, m;
  uint8_t high[4];
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

template <int kBias>
static inline void split_levels(const BlockQ5_1& block, uint8_t* q, float* scale, float* shift) {
  split_five_bits<kBias>(block.q, block.high, q);
  scale[0] = scale[1] = half_to_float(block.d);
  shift[0] = shift[1] = half_to_float(block.m);
}

static inline void join_levels(const Parts<BlockQ5_1>& parts, BlockQ5_1* block) {
  block->d = parts.d;
  block->m = parts.m;
  join_five_bits(parts.level, block->q, block->high);
}

}  // namespace margay
