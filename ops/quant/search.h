// Searches for scales that the quantizers share: weighted least squares over a few candidates around the scale that
// would just fit the largest magnitude. Host code in effect; in headers of C only because the blocks' headers are.
#pragma once
#include "ops/quant/levels.h"

namespace margay {

static inline float inverse_of(float x) { return fabsf(x) > 1e-37f ? 1 / x : 0; }

// Large weights matter most to a product: errors count by x^2, the mean magnitude keeping small ones in the sum.
static inline float importance(float x, float mean) { return x * x + mean * mean; }

static inline float root_mean_square(const float* x, int n) {
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] * x[i];
  return sqrtf(sum / static_cast<float>(n));
}

// The scale d under which d * level is nearest to x, levels in [low, high], low = -(high + 1) as a rule. A negative d
// puts the largest magnitude at `low`, the longer end.
static inline float fit_symmetric(const float* x, int n, int low, int high) {
  float magnitude = 0, extreme = 0;
  for (int i = 0; i < n; ++i)
    if (fabsf(x[i]) > magnitude) magnitude = fabsf(x[i]), extreme = x[i];
  if (!(magnitude > 1e-30f) || magnitude > 1e30f) return magnitude > 1e30f ? extreme / static_cast<float>(low) : 0;
  float best = 0, best_gain = -1;
  const int ends[2] = {low, high};
  for (int step = -10; step <= 10; ++step) {
    // Both signs: the extreme at `low`, or (shorter) at `high`.
    for (const int end : ends) {
      const float inverse = (static_cast<float>(end) + 0.1f * static_cast<float>(step)) / extreme;
      float xq = 0, qq = 0;
      for (int i = 0; i < n; ++i) {
        const float level = static_cast<float>(nearest(x[i] * inverse, low, high));
        xq += x[i] * level;
        qq += level * level;
      }
      // The best d for these levels is xq / qq, and takes xq^2 / qq off the error.
      if (qq > 0 && xq * xq > best_gain * qq) best = xq / qq, best_gain = xq * xq / qq;
    }
  }
  return best;
}

// Scale and shift (<= 0: GGUF's K types store its negative without a sign) with scale * level + shift nearest to x,
// levels in [0, high], weighted by importance.
static inline void fit_affine(const float* x, int n, int high, float* scale, float* shift) {
  float low = 0, top = x[0];
  for (int i = 0; i < n; ++i) low = x[i] < low ? x[i] : low, top = x[i] > top ? x[i] : top;
  *scale = 0;
  *shift = low < 0 && low > -1e30f ? low : 0;
  const float range = top - low;
  if (!(range > 1e-30f) || range > 1e30f) return;
  *scale = range / static_cast<float>(high);
  const float mean = root_mean_square(x, n);
  float best_error = -1;
  for (int step = -10; step <= 10; ++step) {
    const float inverse = (static_cast<float>(high) + 0.1f * static_cast<float>(step)) / range;
    float w0 = 0, wq = 0, wqq = 0, wx = 0, wxq = 0;
    for (int i = 0; i < n; ++i) {
      const float level = static_cast<float>(nearest((x[i] - low) * inverse, 0, high)), w = importance(x[i], mean);
      w0 += w, wq += w * level, wqq += w * level * level, wx += w * x[i], wxq += w * x[i] * level;
    }
    const float determinant = w0 * wqq - wq * wq;
    float a = (w0 * wxq - wq * wx) / determinant, b = (wqq * wx - wq * wxq) / determinant;
    if (!(determinant > 1e-5f * w0 * wqq) || b > 0) a = wqq > 0 ? wxq / wqq : 0, b = 0;  // one level, or all above 0
    float error = 0;
    for (int i = 0; i < n; ++i) {
      const float level = static_cast<float>(nearest((x[i] - low) * inverse, 0, high));
      const float difference = a * level + b - x[i];
      error += importance(x[i], mean) * difference * difference;
    }
    if (best_error < 0 || error < best_error) best_error = error, *scale = a, *shift = b;
  }
}

// Scale and shift that span the block from its smallest to its largest, stored as halves; levels [0, high].
static inline void fit_range(const float* x, int n, int high, uint16_t* d, uint16_t* m, uint8_t* level) {
  float low = x[0], top = x[0];
  for (int i = 0; i < n; ++i) low = x[i] < low ? x[i] : low, top = x[i] > top ? x[i] : top;
  *d = stored_scale((top - low) / static_cast<float>(high));
  *m = stored_scale(low);
  const float inverse = inverse_of(half_to_float(*d)), shift = half_to_float(*m);
  for (int i = 0; i < n; ++i) level[i] = static_cast<uint8_t>(nearest((x[i] - shift) * inverse, 0, high));
}

}  // namespace margay
