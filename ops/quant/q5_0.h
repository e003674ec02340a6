// GGUF's Q5_0: 32 weights in 22 bytes. These scalar functions are its definition.
//
//   byte 0        2              6                                22
//        | half d | uint32 high  | uint8 q[0] ... q[15]           |
//
//   weight i = d * (nibble i + 16 * (bit i of high) - 16), nibbles as in Q4_0
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ5_0 {
  static constexpr int kLength = 32, kGroup = 32, kLowest = -16, kHighest = 15;
  static constexpr Scheme kScheme = Scheme::kSymmetric;
  uint16_t d;
  uint8_t high[4];  // little-endian, at an odd place for a uint32
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

// Levels 0..31 + kBias of Q5_0 and Q5_1.
template <int kBias>
static inline void split_five_bits(const uint8_t* nibbles, const uint8_t* high_bits, uint8_t* q) {
  uint32_t high;
  memcpy(&high, high_bits, 4);
  for (uint32_t i = 0; i < 16; ++i) {
    q[i] = static_cast<uint8_t>(((nibbles[i] & 15u) | (high >> i & 1) << 4) + static_cast<uint32_t>(kBias));
    q[i + 16] = static_cast<uint8_t>((nibbles[i] >> 4 | (high >> (i + 16) & 1) << 4) + static_cast<uint32_t>(kBias));
  }
}

static inline void join_five_bits(const uint8_t* level, uint8_t* nibbles, uint8_t* high_bits) {
  uint32_t high = 0;
  for (int i = 0; i < 32; ++i) high |= static_cast<uint32_t>(level[i] >> 4) << i;
  memcpy(high_bits, &high, 4);
  for (int i = 0; i < 16; ++i) nibbles[i] = static_cast<uint8_t>((level[i] & 15) | (level[i + 16] & 15) << 4);
}

template <int kBias>
static inline void split_levels(const BlockQ5_0& block, uint8_t* q, float* scale, float* shift) {
  split_five_bits<kBias - 16>(block.q, block.high, q);
  scale[0] = scale[1] = half_to_float(block.d);
  shift[0] = shift[1] = 0;
}

static inline void join_levels(const Parts<BlockQ5_0>& parts, BlockQ5_0* block) {
  block->d = parts.d;
  join_five_bits(parts.level, block->q, block->high);
}

}  // namespace margay
