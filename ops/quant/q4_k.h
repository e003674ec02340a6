// GGUF's Q4_K: 256 weights in 144 bytes, in 8 groups of 32. These scalar functions are its definition.
//
//   byte 0        2           4                   16                                144
//        | half d | half dmin | uint8 scale[12]   | uint8 q[128]                    |
//
//   weight i = d * scale g * level - dmin * shift g      g = i / 32
//   q[32 * c + l] holds weight 64 * c + l in its low and 64 * c + 32 + l in its high nibble, l < 32
//   scales and shifts have 6 bits: of groups 0..3 they are the low bits of scale[g] and scale[4 + g]; of groups 4..7
//   the nibbles of scale[4 + g], with their 2 high bits at the top of scale[g - 4] and scale[g]
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

struct BlockQ4_K {
  static constexpr int kLength = 256, kGroup = 32, kLowest = 0, kHighest = 15;
  static constexpr Scheme kScheme = Scheme::kAffine;
  static constexpr int kScaleLow = 0, kScaleHigh = 63;
  uint16_t d, dmin;
  uint8_t scale[12];
  uint8_t q[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// The scales of Q4_K and Q5_K, each for its two groups of 16.
static inline void split_scales(uint16_t half_d, uint16_t half_dmin, const uint8_t* packed, float* scale,
                                float* shift) {
  const float d = half_to_float(half_d), dmin = half_to_float(half_dmin);
  uint32_t words[3];  // four groups at a time
  memcpy(words, packed, 12);
  const uint32_t scales[2] = {words[0] & 0x3f3f3f3fu, (words[2] & 0x0f0f0f0fu) | (words[0] >> 2 & 0x30303030u)};
  const uint32_t shifts[2] = {words[1] & 0x3f3f3f3fu, (words[2] >> 4 & 0x0f0f0f0fu) | (words[1] >> 2 & 0x30303030u)};
  uint8_t s[8], m[8];
  memcpy(s, scales, 8);
  memcpy(m, shifts, 8);
  for (int g = 0; g < 16; ++g) {
    scale[g] = d * static_cast<float>(s[g / 2]);
    shift[g] = -(dmin * static_cast<float>(m[g / 2]));
  }
}

static inline void join_scales(const int8_t* scale, const int8_t* shift, uint8_t* packed) {
  for (int g = 0; g < 4; ++g) {
    packed[g] = static_cast<uint8_t>(scale[g] | (scale[4 + g] >> 4) << 6);
    packed[4 + g] = static_cast<uint8_t>(shift[g] | (shift[4 + g] >> 4) << 6);
    packed[8 + g] = static_cast<uint8_t>((scale[4 + g] & 15) | (shift[4 + g] & 15) << 4);
  }
}

template <int kBias>
static inline void split_levels(const BlockQ4_K& block, uint8_t* q, float* scale, float* shift) {
  for (int c = 0; c < 4; ++c)
    for (int l = 0; l < 32; ++l) {
      q[64 * c + l] = static_cast<uint8_t>((block.q[32 * c + l] & 15) + kBias);
      q[64 * c + 32 + l] = static_cast<uint8_t>((block.q[32 * c + l] >> 4) + kBias);
    }
  split_scales(block.d, block.dmin, block.scale, scale, shift);
}

static inline void join_levels(const Parts<BlockQ4_K>& parts, BlockQ4_K* block) {
  block->d = parts.d;
  block->dmin = parts.m;
  join_scales(parts.scale, parts.shift, block->scale);
  for (int c = 0; c < 4; ++c)
    for (int l = 0; l < 32; ++l)
      block->q[32 * c + l] = static_cast<uint8_t>(parts.level[64 * c + l] | parts.level[64 * c + 32 + l] << 4);
}

}  // namespace margay
