// GGUF's Q5_K: 256 weights in 176 bytes, in 8 groups of 32. These scalar functions are its definition.
//
//   byte 0        2           4                   16                48                     176
//        | half d | half dmin | uint8 scale[12]   | uint8 high[32]  | uint8 q[128]         |
//
//   Q4_K with a fifth bit: bit 2 * c of high[l] for weight 64 * c + l, bit 2 * c + 1 for weight 64 * c + 32 + l.
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/q4_k.h"

namespace margay {

struct BlockQ5_K {
  static constexpr int kLength = 256, kGroup = 32, kLowest = 0, kHighest = 31;
  static constexpr Scheme kScheme = Scheme::kAffine;
  static constexpr int kScaleLow = 0, kScaleHigh = 63;
  uint16_t d, dmin;
  uint8_t scale[12];
  uint8_t high[32];
  uint8_t q[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

template <int kBias>
static inline void split_levels(const BlockQ5_K& block, uint8_t* q, float* scale, float* shift) {
  for (int c = 0; c < 4; ++c)
    for (int l = 0; l < 32; ++l) {
      const int nibbles = block.q[32 * c + l], high = block.high[l] >> 2 * c;
      q[64 * c + l] = static_cast<uint8_t>(((nibbles & 15) | (high & 1) << 4) + kBias);
      q[64 * c + 32 + l] = static_cast<uint8_t>((nibbles >> 4 | (high & 2) << 3) + kBias);
    }
  split_scales(block.d, block.dmin, block.scale, scale, shift);
}

static inline void join_levels(const Parts<BlockQ5_K>& parts, BlockQ5_K* block) {
  block->d = parts.d;
  block->dmin = parts.m;
  join_scales(parts.scale, parts.shift, block->scale);
  for (int l = 0; l < 32; ++l) {
    int high = 0;
    for (int c = 0; c < 4; ++c) {
      const int a = parts.level[64 * c + l], b = parts.level[64 * c + 32 + l];
      block->q[32 * c + l] = static_cast<uint8_t>((a & 15) | (b & 15) << 4);
      high |= (a >> 4) << 2 * c | (b >> 4) << (2 * c + 1);
    }
    block->high[l] = static_cast<uint8_t>(high);
  }
}

}  // namespace margay
