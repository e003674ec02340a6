// Rows of float32 activations to Q8_ACT: quantize_activation(), a register at a time. C headers only.
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

// Row `row` of `rows` of `columns` (a multiple of 32) floats, at x, to its place in the Q8_ACT at `out`.
MARGAY_INLINE void quantize_row(const float* x, int64_t columns, int64_t row, int64_t rows, char* out) {
  const ActivationPanel panel = activation_panel(row, rows);
  const ActivationPlanes plane = activation_planes(columns);
  out += panel.first * activation_row_bytes(columns) + 4 * (row - panel.first);
  const auto put = [&](int64_t unit, const void* value) { memcpy(out + 4 * panel.width * unit, value, 4); };
  for (int64_t b = 0; b < columns / 32; ++b, x += 32) {
    F32 largest = zero();
    for (int i = 0; i < 32; i += kWidth) {
      const F32 v = load(x + i);
      largest = max(max(v, zero() - v), largest);
    }
    const float magnitude = max_lane(largest);
    const bool tiny = magnitude < kSmallestActivation;
    const float inverse = tiny ? 0 : 127 / magnitude, scale = tiny ? 0 : magnitude / 127;
    int8_t q[32];
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
    for (int i = 0; i < 8; ++i) put(8 * b + i, q + 4 * i);
    put(plane.scale + b, &scale);
    put(plane.sum + b, &block_sum);
    put(plane.half_sum + b, halves);
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
