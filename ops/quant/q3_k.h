// GGUF's Q3_K: 256 weights in 110 bytes, in 16 groups of 16. These scalar functions are its definition.
//
//   byte 0                32              96                  108     110
//        | uint8 high[32] | uint8 q[64]   | uint8 scale[12]   | half d |
//
//   weight i = d * (6-bit scale g - 32) * (level - 4)      g = i / 16
//   level: 2 low bits as in Q2_K, and bit 4 * h + j of high[l] for weight 128 * h + 32 * j + l
//   scale g: 4 low bits in nibble g / 8 of scale[g % 8], 2 high bits at bits 2 * (g / 4) of scale[8 + g % 4]
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ3_K {
  static constexpr int kLength = 256, kGroup = 16, kLowest = -4, kHighest = 3;
  static constexpr Scheme kScheme = Scheme::kSymmetric;
  static constexpr int kScaleLow = -32, kScaleHigh = 31;
  uint8_t high[32];
  uint8_t q[64];
  uint8_t scale[12];
  uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

template <int kBias>
static inline void split_levels(const BlockQ3_K& block, uint8_t* q, float* scale, float* shift) {
  for (int h = 0; h < 2; ++h)
    for (int j = 0; j < 4; ++j)
      for (int l = 0; l < 32; ++l)
        q[128 * h + 32 * j + l] = static_cast<uint8_t>(
            ((block.q[32 * h + l] >> 2 * j & 3) | (block.high[l] >> (4 * h + j) & 1) << 2) + kBias - 4);
  const float d = half_to_float(block.d);
  for (int g = 0; g < 16; ++g) {
    const int low = block.scale[g % 8] >> 4 * (g / 8) & 15, high = block.scale[8 + g % 4] >> 2 * (g / 4) & 3;
    scale[g] = d * static_cast<float>((low | high << 4) - 32);
    shift[g] = 0;
  }
}

static inline void join_levels(const Parts<BlockQ3_K>& parts, BlockQ3_K* block) {
  block->d = parts.d;
  memset(block->scale, 0, sizeof block->scale);
  for (int g = 0; g < 16; ++g) {
    const int s = parts.scale[g] + 32;
    block->scale[g % 8] = static_cast<uint8_t>(block->scale[g % 8] | (s & 15) << 4 * (g / 8));
    block->scale[8 + g % 4] = static_cast<uint8_t>(block->scale[8 + g % 4] | (s >> 4) << 2 * (g / 4));
  }
  for (int l = 0; l < 32; ++l) {
    int high = 0;
    for (int h = 0; h < 2; ++h) {
      int low = 0;
      for (int j = 0; j < 4; ++j) {
        const int v = parts.level[128 * h + 32 * j + l];
        low |= (v & 3) << 2 * j;
        high |= (v >> 2) << (4 * h + j);
      }
      block->q[32 * h + l] = static_cast<uint8_t>(low);
    }
    block->high[l] = static_cast<uint8_t>(high);
  }
}

}  // namespace margay
