// GGUF's IQ4_NL: 32 weights in 18 bytes. These scalar functions are its definition.
//
//   byte 0        2                                       18
//        | half d | uint8 q[0] ... q[15]                  |      weight i = d * code[nibble i], nibbles as in Q4_0
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

constexpr int8_t kIq4Codes[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct BlockIQ4_NL {
  static constexpr int kLength = 32, kGroup = 32, kLowest = -128, kHighest = 127;
  static constexpr Scheme kScheme = Scheme::kCodes;
  uint16_t d;
  uint8_t q[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// 16 bytes of nibbles -> the codes of 32 weights, + kBias.
template <int kBias>
static inline void split_codes(const uint8_t* nibbles, uint8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<uint8_t>(kIq4Codes[nibbles[i] & 15] + kBias);
    q[i + 16] = static_cast<uint8_t>(kIq4Codes[nibbles[i] >> 4] + kBias);
  }
}

template <int kBias>
static inline void split_levels(const BlockIQ4_NL& block, uint8_t* q, float* scale, float* shift) {
  split_codes<kBias>(block.q, q);
  scale[0] = scale[1] = half_to_float(block.d);
  shift[0] = shift[1] = 0;
}

// 32 indices of codes -> 16 bytes.
static inline void join_nibbles(const uint8_t* index, uint8_t* nibbles) {
  for (int i = 0; i < 16; ++i) nibbles[i] = static_cast<uint8_t>(index[i] | index[i + 16] << 4);
}

static inline void join_levels(const Parts<BlockIQ4_NL>& parts, BlockIQ4_NL* block) {
  block->d = parts.d;
  join_nibbles(parts.level, block->q);
}

}  // namespace margay
