// Q8_ACT: activations as the int8 kernels read them: symmetric int8 in blocks of 32, 44 bytes for 32 elements, rows
// without padding. A row has four planes of 4-byte units:
//
//   | int8 q[K] | float scale[K / 32] | float sum[K / 32] | int16 half_sum[K / 32][2] |     x[i] = scale[i / 32] * q[i]
//
// half_sum are the sums of q over each 16, sum is scale times that over each 32: what a weight's offset multiplies.
// Rows are stored in panels: as many of eight rows as there are, then for the rest one each of four, two and one. In a
// panel the units of its rows alternate (all rows' first, all rows' second, ...), so that a kernel which takes a panel
// at a time reads one line of memory. C headers only: kernels see this file.
#pragma once
#include <math.h>
#include <stdint.h>

namespace margay {

static inline int64_t activation_row_bytes(int64_t columns) { return columns / 32 * 44; }

constexpr int kPanelRows = 8;

struct ActivationPanel {
  int64_t first;  // row
  int width;      // rows
};

// The panel that row `row` of `rows` is in.
static inline ActivationPanel activation_panel(int64_t row, int64_t rows) {
  ActivationPanel panel = {row / kPanelRows * kPanelRows, kPanelRows};
  while (panel.first + panel.width > rows || row >= panel.first + panel.width) {
    if (panel.first + panel.width <= rows) panel.first += panel.width;
    panel.width /= 2;
  }
  return panel;
}

// 4-byte units from a row's begin to its planes.
struct ActivationPlanes {
  int64_t scale, sum, half_sum;
};
static inline ActivationPlanes activation_planes(int64_t columns) {
  return {columns / 4, columns / 4 + columns / 32, columns / 4 + columns / 16};
}

// Blocks whose largest magnitude is below this count as zero: 127 / magnitude would overflow.
constexpr float kSmallestActivation = 1e-30f;

// The definition: quantizes one block of 32 and returns its scale.
static inline float quantize_activation(const float* x, int8_t* q) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  const bool tiny = largest < kSmallestActivation;
  const float inverse = tiny ? 0 : 127 / largest;
  for (int i = 0; i < 32; ++i) {
    const float scaled = rintf(x[i] * inverse);  // nearest even, as cvtps2dq
    q[i] = static_cast<int8_t>(scaled > 127     ? 127
                               : scaled >= -128 ? scaled
                                                : -128);  // NaN: -128, as saturation makes it
  }
  return tiny ? 0 : largest / 127;
}

}  // namespace margay
