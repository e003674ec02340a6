// GGUF's Q2_K: 256 weights in 84 bytes, in 16 groups of 16. These scalar functions are its definition.
//
//   byte 0                    16                    80       82          84
//        | uint8 scale[16]    | uint8 q[64]         | half d | half dmin |
//
//   weight i = d * (scale[g] & 15) * level - dmin * (scale[g] >> 4)      g = i / 16
//   level: 2 bits; q[32 * h + l] holds weights 128 * h + 32 * j + l at bits 2 * j, l < 32
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ2_K {
  static constexpr int kLength = 256, kGroup = 16, kLowest = 0, kHighest = 3;
  static constexpr Scheme kScheme = Scheme::kAffine;
  static constexpr int kScaleLow = 0, kScaleHigh = 15;
  uint8_t scale[16];
  uint8_t q[64];
  uint16_t d, dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

template <int kBias>
static inline void split_levels(const BlockQ2_K& block, uint8_t* q, float* scale, float* shift) {
  for (int h = 0; h < 2; ++h)
    for (int j = 0; j < 4; ++j)
      for (int l = 0; l < 32; ++l)
        q[128 * h + 32 * j + l] = static_cast<uint8_t>((block.q[32 * h + l] >> 2 * j & 3) + kBias);
  const float d = half_to_float(block.d), dmin = half_to_float(block.dmin);
  for (int g = 0; g < 16; ++g) {
    scale[g] = d * static_cast<float>(block.scale[g] & 15);
    shift[g] = -(dmin * static_cast<float>(block.scale[g] >> 4));
  }
}

static inline void join_levels(const Parts<BlockQ2_K>& parts, BlockQ2_K* block) {
  block->d = parts.d;
  block->dmin = parts.m;
  for (int g = 0; g < 16; ++g) block->scale[g] = static_cast<uint8_t>(parts.scale[g] | parts.shift[g] << 4);
  for (int h = 0; h < 2; ++h)
    for (int l = 0; l < 32; ++l) {
      const uint8_t* p = parts.level + 128 * h + l;
      block->q[32 * h + l] = static_cast<uint8_t>(p[0] | p[32] << 2 | p[64] << 4 | p[96] << 6);
    }
}

}  // namespace margay
