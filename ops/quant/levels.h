// What all types of blocks share. A block of any type is levels under scales:
//
//   weight i = scale[i / 16] * level[i] + shift[i / 16]
//
// Each type's header has a split_levels(block, q, scale, shift) that takes its bits apart: q[i] = level[i] + kBias as a
// byte. kBias is 0 for signed levels and -Block::kLowest for levels from 0 up, which the int8 kernels want. The split is
// a type's definition; dequantize_block() and every product are built on it. Scales come for groups of 16, also where
// the type has one for 32 (Block::kGroup). C headers only: kernels see this file.
#pragma once
#include <stdint.h>
#include <string.h>

#include "base/half.h"

namespace margay {

// How a type's levels and scales are chosen when weights are quantized (ops/quant/search.h).
enum class Scheme : uint8_t {
  kSymmetric,  // levels kLowest ... kHighest, no shift
  kAffine,     // levels 0 ... kHighest and a shift, which K types (those with kScaleHigh) only have downwards
  kCodes,      // the levels are kIq4Codes
};

// A block taken apart by what quantizes it; each type's join_levels(parts, block) packs it. K types have kScaleLow and
// kScaleHigh: the range of the integer scales (and shifts) of their groups, under d (and m, their dmin).
template <class Block>
struct Parts {
  uint16_t d, m;  // halves; m of affine types
  int8_t scale[Block::kLength / Block::kGroup], shift[Block::kLength / Block::kGroup];
  uint8_t level[Block::kLength];  // level - kLowest; an index of kIq4Codes
};

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
