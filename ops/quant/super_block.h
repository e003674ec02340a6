// The quantizers of GGUF's K types: 256 weights in groups of 16 or 32, each with a small integer scale (and shift) under
// the block's 16-bit d (and dmin). C headers only.
#pragma once
#include "ops/quant/search.h"

namespace margay {

// weight = d * scale[g] * level - dmin * shift[g], levels in [0, high], scales and shifts in [0, top].
template <int kGroups>
static inline void quantize_affine(const float* x, int high, int top, uint16_t* d, uint16_t* dmin, uint8_t* scale,
                                   uint8_t* shift, uint8_t* level) {
  constexpr int kGroup = 256 / kGroups;
  float scales[kGroups], shifts[kGroups], most = 0, least = 0;
  for (int g = 0; g < kGroups; ++g) {
    fit_affine(x + g * kGroup, kGroup, high, scales + g, shifts + g);
    most = scales[g] > most ? scales[g] : most;
    least = shifts[g] < least ? shifts[g] : least;
  }
  *d = stored_scale(most / static_cast<float>(top));
  *dmin = stored_scale(-least / static_cast<float>(top));
  const float real_d = half_to_float(*d), real_dmin = half_to_float(*dmin);
  for (int g = 0; g < kGroups; ++g) {
    scale[g] = static_cast<uint8_t>(nearest(scales[g] * inverse_of(real_d), 0, top));
    shift[g] = static_cast<uint8_t>(nearest(-shifts[g] * inverse_of(real_dmin), 0, top));
    const float inverse = inverse_of(real_d * static_cast<float>(scale[g]));
    const float down = real_dmin * static_cast<float>(shift[g]);
    for (int i = g * kGroup; i < (g + 1) * kGroup; ++i)
      level[i] = static_cast<uint8_t>(nearest((x[i] + down) * inverse, 0, high));
  }
}

// weight = d * scale[g] * level, levels in [low, high], scales in [scale_low, scale_high] with scale_low the longer end;
// level[] holds level - low.
template <int kGroups>
static inline void quantize_symmetric(const float* x, int low, int high, int scale_low, int scale_high, uint16_t* d,
                                      int8_t* scale, uint8_t* level) {
  constexpr int kGroup = 256 / kGroups;
  float scales[kGroups], extreme = 0;
  for (int g = 0; g < kGroups; ++g) {
    scales[g] = fit_symmetric(x + g * kGroup, kGroup, low, high);
    if (fabsf(scales[g]) > fabsf(extreme)) extreme = scales[g];
  }
  *d = stored_scale(extreme / static_cast<float>(scale_low));
  const float real = half_to_float(*d);
  for (int g = 0; g < kGroups; ++g) {
    scale[g] = static_cast<int8_t>(nearest(scales[g] * inverse_of(real), scale_low, scale_high));
    const float inverse = inverse_of(real * static_cast<float>(scale[g]));
    for (int i = g * kGroup; i < (g + 1) * kGroup; ++i)
      level[i] = static_cast<uint8_t>(nearest(x[i] * inverse, low, high) - low);
  }
}

}  // namespace margay
