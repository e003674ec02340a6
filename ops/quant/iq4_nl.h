// GGUF's IQ4_NL: 32 weights in 18 bytes. These scalar functions are its definition.
//
//   byte 0        2                                       18
//        | half d | uint8 q[0] ... q[15]                  |      weight i = d * code[nibble i], nibbles as in Q4_0
//
// C headers only: kernels see this file.
#pragma once
#include "ops/quant/search.h"

namespace margay {

constexpr int8_t kIq4Codes[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct BlockIQ4_NL {
  static constexpr int kLength = 32, kGroup = 32, kLowest = -128, kHighest = 127;
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

// Index of the code nearest to x.
static inline int nearest_code(float x) {
  int index = 0;
  while (index < 15 && x > 0.5f * static_cast<float>(kIq4Codes[index] + kIq4Codes[index + 1])) ++index;
  return index;
}

// The scale under which its codes are nearest to x, by least squares weighted by importance.
static inline float fit_codes(const float* x, int n) {
  float magnitude = 0, extreme = 0;
  for (int i = 0; i < n; ++i)
    if (fabsf(x[i]) > magnitude) magnitude = fabsf(x[i]), extreme = x[i];
  if (!(magnitude > 1e-30f) || magnitude > 1e30f) return magnitude > 1e30f ? extreme / -127 : 0;
  float best = 0, best_gain = -1;
  const int ends[2] = {-127, 113};
  for (int step = -7; step <= 7; ++step)
    for (const int end : ends) {
      const float inverse = (static_cast<float>(end) + 2.f * static_cast<float>(step)) / extreme;
      float xc = 0, cc = 0;
      for (int i = 0; i < n; ++i) {
        const float code = kIq4Codes[nearest_code(x[i] * inverse)];
        xc += x[i] * code;
        cc += code * code;
      }
      if (cc > 0 && xc * xc > best_gain * cc) best = xc / cc, best_gain = xc * xc / cc;
    }
  return best;
}

static inline void quantize_codes(const float* x, float scale, uint8_t* nibbles) {
  const float inverse = inverse_of(scale);
  for (int i = 0; i < 16; ++i)
    nibbles[i] = static_cast<uint8_t>(nearest_code(x[i] * inverse) | nearest_code(x[i + 16] * inverse) << 4);
}

static inline void quantize_block(const float* x, BlockIQ4_NL* block) {
  block->d = stored_scale(fit_codes(x, 32));
  quantize_codes(x, half_to_float(block->d), block->q);
}

}  // namespace margay
