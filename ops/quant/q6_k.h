// GGUF's Q6_K: 256 weights in 210 bytes, in 16 groups of 16. These scalar functions are its definition.
//
//   byte 0                128              192              208      210
//        | uint8 low[128] | uint8 high[64] | int8 scale[16] | half d |
//
//   weight i = d * scale[g] * (level - 32)      g = i / 16
//   weight 128 * h + 32 * t + l, l < 32: low nibble of low[64 * h + 32 * (t % 2) + l] for t < 2, its high nibble for
//   t >= 2; two more bits at bits 2 * t of high[32 * h + l]
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ6_K {
  static constexpr int kLength = 256, kGroup = 16, kLowest = -32, kHighest = 31;
  static constexpr Scheme kScheme = Scheme::kSymmetric;
  static constexpr int kScaleLow = -128, kScaleHigh = 127;
  uint8_t low[128];
  uint8_t high[64];
  int8_t scale[16];
  uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

template <int kBias>
static inline void split_levels(const BlockQ6_K& block, uint8_t* q, float* scale, float* shift) {
  for (int h = 0; h < 2; ++h)
    for (int t = 0; t < 4; ++t)
      for (int l = 0; l < 32; ++l)
        q[128 * h + 32 * t + l] = static_cast<uint8_t>(
            ((block.low[64 * h + 32 * (t % 2) + l] >> 4 * (t / 2) & 15) | (block.high[32 * h + l] >> 2 * t & 3) << 4) +
            kBias - 32);
  const float d = half_to_float(block.d);
  for (int g = 0; g < 16; ++g) {
    scale[g] = d * static_cast<float>(block.scale[g]);
    shift[g] = 0;
  }
}

static inline void join_levels(const Parts<BlockQ6_K>& parts, BlockQ6_K* block) {
  block->d = parts.d;
  memcpy(block->scale, parts.scale, 16);
  for (int h = 0; h < 2; ++h)
    for (int l = 0; l < 32; ++l) {
      const uint8_t* p = parts.level + 128 * h + l;
      block->low[64 * h + l] = static_cast<uint8_t>((p[0] & 15) | (p[64] & 15) << 4);
      block->low[64 * h + 32 + l] = static_cast<uint8_t>((p[32] & 15) | (p[96] & 15) << 4);
      block->high[32 * h + l] = static_cast<uint8_t>(p[0] >> 4 | p[32] >> 4 << 2 | p[64] >> 4 << 4 | p[96] >> 4 << 6);
    }
}

}  // namespace margay
