// Rows of scores: exclude what a query must not see, find the maximum, exponentiate.
#pragma once
#include "ops/attention/tile.h"

namespace margay::cpu::MARGAY_ISA {

using simd::F32;
using simd::I32;
using simd::kWidth;

MARGAY_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
MARGAY_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }
MARGAY_INLINE int64_t round_down(int64_t n) { return n / kWidth * kWidth; }

constexpr float kExcluded = -3e38f;

// Columns of a row of scores: [begin, end) was computed (whole vectors), [low, high) belongs to the window.
struct Span {
  int64_t begin, end, low, high;
};

// Maximum over the span's window; every other computed column becomes kExcluded.
MARGAY_INLINE F32 exclude_and_max(float* row, const Span& span, F32 best) {
  I32 lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = i;
  for (int64_t c = span.begin; c < span.end; c += kWidth) {
    F32 score = simd::load(row + c);
    if (c < span.low || c + kWidth > span.high) {
      const I32 column = lane + static_cast<int32_t>(c);
      score = column < static_cast<int32_t>(span.low) ? simd::splat(kExcluded) : score;
      score = column >= static_cast<int32_t>(span.high) ? simd::splat(kExcluded) : score;
      simd::store(row + c, score);
    }
    best = simd::max(best, score);
  }
  return best;
}

// c tanh(s / c), and its derivative by s where `capped` is its value.
MARGAY_INLINE F32 soft_capped(F32 score, float cap) {
  return simd::splat(cap) - simd::splat(2 * cap) / (simd::exp(score * (2 / cap)) + simd::splat(1));
}
MARGAY_INLINE F32 soft_cap_slope(F32 capped, float cap) { return simd::splat(1) - capped * capped * (1 / (cap * cap)); }

// The same for columns [begin, end) of a row of scores, in place.
MARGAY_INLINE void soft_cap_row(float* row, int64_t begin, int64_t end, float cap) {
  for (int64_t c = begin; c < end; c += kWidth) simd::store(row + c, soft_capped(simd::load(row + c), cap));
}

// Scores as above, and delta = (delta - ratio) times the slope.
MARGAY_INLINE void soft_cap_row_and_delta(float* row, float* delta, float ratio, int64_t begin, int64_t end,
                                          float cap) {
  for (int64_t c = begin; c < end; c += kWidth) {
    const F32 capped = soft_capped(simd::load(row + c), cap);
    simd::store(row + c, capped);
    simd::store(delta + c, (simd::load(delta + c) - ratio) * soft_cap_slope(capped, cap));
  }
}

// row = factor exp(row - maximum); returns the sum of it.
MARGAY_INLINE F32 exponentials(float* row, const Span& span, float maximum, float factor, F32 sum) {
  for (int64_t c = span.begin; c < span.end; c += kWidth) {
    const F32 weight = simd::exp(simd::load(row + c) - maximum) * factor;
    simd::store(row + c, weight);
    sum += weight;
  }
  return sum;
}

}  // namespace margay::cpu::MARGAY_ISA
