// GGUF's IQ4_XS: 256 weights in 136 bytes, in 8 groups of 32. These scalar functions are its definition.
//
//   byte 0        2                  4                8                                136
//        | half d | uint16 high_bits | uint8 low[4]   | uint8 q[8][16]                 |
//
//   weight i = d * (6-bit scale g - 32) * code[nibble]      g = i / 32; codes, and nibbles of a group, as in IQ4_NL
//   scale g: 4 low bits in nibble g % 2 of low[g / 2], 2 high bits at bits 2 * g of high_bits
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/iq4_nl.h"

namespace margay {

struct BlockIQ4_XS {
  static constexpr int kLength = 256, kGroup = 32, kLowest = -128, kHighest = 127;
  static constexpr Scheme kScheme = Scheme::kCodes;
  static constexpr int kScaleLow = -32, kScaleHigh = 31;
  uint16_t d, high_bits;
  uint8_t low[4];
  uint8_t q[8][16];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

template <int kBias>
static inline void split_levels(const BlockIQ4_XS& block, uint8_t* q, float* scale, float* shift) {
  const float d = half_to_float(block.d);
  for (int g = 0; g < 8; ++g) {
    split_codes<kBias>(block.q[g], q + 32 * g);
    const int low = block.low[g / 2] >> 4 * (g % 2) & 15, high = block.high_bits >> 2 * g & 3;
    scale[2 * g] = scale[2 * g + 1] = d * static_cast<float>((low | high << 4) - 32);
    shift[2 * g] = shift[2 * g + 1] = 0;
  }
}

static inline void join_levels(const Parts<BlockIQ4_XS>& parts, BlockIQ4_XS* block) {
  block->d = parts.d;
  int high_bits = 0, low[8];
  for (int g = 0; g < 8; ++g) {
    const int scale = parts.scale[g] + 32;
    low[g] = scale & 15;
    high_bits |= scale >> 4 << 2 * g;
    join_nibbles(parts.level + 32 * g, block->q[g]);
  }
  block->high_bits = static_cast<uint16_t>(high_bits);
  for (int g = 0; g < 4; ++g) block->low[g] = static_cast<uint8_t>(low[2 * g] | low[2 * g + 1] << 4);
}

}  // namespace margay
