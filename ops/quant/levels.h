// What all types of blocks share. A block of any type is levels under scales:
//
//   weight i = scale[i / 16] * level[i] + shift[i / 16]
//
// Each type's header has a split_levels(block, q, scale, shift) that takes its bits apart: q[i] = level[i] + kBias as a
// byte. kBias is 0 for signed levels and -Block::kLowest for levels from 0 up, which the int8 kernels want. The split is
// a type's definition; dequantize_block() and every product are built on it. Scales come for groups of 16, also where
// the type has one for 32 (Block::kGroup). C headers only: kernels see this file.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/half.h"

namespace margay {

// Nearest integer to x in [low, high]; NaN becomes low.
static inline int nearest(float x, int low, int high) {
  return !(x > static_cast<float>(low)) ? low : x >= static_cast<float>(high) ? high : static_cast<int>(rintf(x));
}

// The 16-bit d that is stored for a scale, finite and, where the scale is not 0, its nearest half.
static inline uint16_t stored_scale(float d) { return float_to_half(d == d ? d : 0.f); }

template <class Block>
static inline void dequantize_levels(const Block& block, float* x) {
  uint8_t q[Block::kLength];
  float scale[Block::kLength / 16], shift[Block::kLength / 16];
  split_levels<0>(block, q, scale, shift);
  for (int g = 0; g < Block::kLength / 16; ++g)
    for (int i = 16 * g; i < 16 * g + 16; ++i)
      x[i] = scale[g] * static_cast<float>(static_cast<int8_t>(q[i])) + shift[g];
}

}  // namespace margay
