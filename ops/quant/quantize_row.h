// A row of float32 activations to Q8_ACT: quantize_activation(), a register at a time. C headers only.
#pragma once
#include "ops/quant/activation.h"
#include "ops/simd/int8.h"

namespace margay::simd {
inline namespace MARGAY_ISA {

// The sum of the integers in v as an int16; 0 where infinity or NaN in the row left no sensible sum.
MARGAY_INLINE int16_t half_sum(F32 v) {
  const float lanes = sum(v);
  return fabsf(lanes) <= 16 * 127 ? static_cast<int16_t>(lanes) : int16_t{0};
}

// `columns` (a multiple of 32) floats at x to the Q8_ACT row at `out`.
MARGAY_INLINE void quantize_row(const float* x, int64_t columns, char* out) {
  const ActivationPlanes plane = activation_planes(columns);
  int8_t* q = reinterpret_cast<int8_t*>(out);
  for (int64_t b = 0; b < columns / 32; ++b, x += 32, q += 32) {
    F32 largest = zero();
    for (int i = 0; i < 32; i += kWidth) {
      const F32 v = load(x + i);
      largest = max(max(v, zero() - v), largest);
    }
    const float magnitude = max_lane(largest);
    const bool tiny = magnitude < kSmallestActivation;
    const float inverse = tiny ? 0 : 127 / magnitude, scale = tiny ? 0 : magnitude / 127;
    int16_t halves[2];
    for (int half = 0; half < 2; ++half) {
      F32 sums = zero();  // of integers: exact
      for (int i = 16 * half; i < 16 * half + 16; i += kWidth) {
        const I32 v = round_to_int(load(x + i) * inverse);
        sums += __builtin_convertvector(v, F32);
        store_saturated(q + i, v);
      }
      halves[half] = half_sum(sums);
    }
    const float block_sum = scale * static_cast<float>(halves[0] + halves[1]);
    memcpy(out + plane.scale + 4 * b, &scale, 4);
    memcpy(out + plane.sum + 4 * b, &block_sum, 4);
    memcpy(out + plane.half_sum + 4 * b, halves, 4);
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
