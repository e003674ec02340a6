// Few rows of x times float weights: dot products along the rows of the weight, each read once. C headers only.
#pragma once
#include "ops/kernel.h"
#include "ops/linear/tiles.h"
#include "ops/quant/unpack.h"

namespace margay::linear {
inline namespace MARGAY_ISA {

using namespace simd;

// kWidth weights at p as float32.
template <DType type>
MARGAY_INLINE F32 load_weights(const char* row, int64_t i) {
  if (type == DType::F16) return load_half(row + 2 * i);
  if (type == DType::BF16) return load_bf16(row + 2 * i);
  return load(reinterpret_cast<const float*>(row) + i);
}

// y[r * y_row] = x[r] . row for r < kRows.
template <DType type, int kRows>
MARGAY_INLINE void dot_row(const char* row, const float* x, int64_t k, float* y, int64_t y_row) {
  constexpr int kSums = kRows > 2 ? 2 : 4;  // partial sums of each dot product: hide the latency of the fma
  F32 sum[kRows][kSums];
  for (int r = 0; r < kRows; ++r)
    for (int s = 0; s < kSums; ++s) sum[r][s] = zero();
  int64_t i = 0;
  for (; i + kSums * kWidth <= k; i += kSums * kWidth) {
    prefetch_stream(row + i * (type == DType::F32 ? 4 : 2), kSums * kWidth * (type == DType::F32 ? 4 : 2));
    for (int s = 0; s < kSums; ++s) {
      const F32 w = load_weights<type>(row, i + s * kWidth);
      for (int r = 0; r < kRows; ++r) sum[r][s] += w * load(x + r * k + i + s * kWidth);
    }
  }
  for (; i + kWidth <= k; i += kWidth) {
    const F32 w = load_weights<type>(row, i);
    for (int r = 0; r < kRows; ++r) sum[r][0] += w * load(x + r * k + i);
  }
  if (i < k) {
    float tail[kWidth];
    const int n = static_cast<int>(k - i);
    unpack(type, row, i, n, tail);
    const F32 w = load_part(tail, n);
    for (int r = 0; r < kRows; ++r) sum[r][kSums - 1] += w * load_part(x + r * k + i, n);
  }
  for (int r = 0; r < kRows; ++r) {
    for (int half = kSums / 2; half > 0; half /= 2)
      for (int s = 0; s < half; ++s) sum[r][s] += sum[r][s + half];
    y[r * y_row] = simd::sum(sum[r][0]);
  }
}

template <DType type, int kRows>
static void float_dots(const char* w, int64_t row_bytes, const float* x, int64_t k, float* y, int64_t n, Range rows) {
  // Two streams half a share apart: one stream alone does not fill the memory's queues.
  const int64_t half = (rows.end - rows.begin) / 2;
  for (int64_t r = rows.begin; r < rows.begin + half; ++r) {
    dot_row<type, kRows>(w + r * row_bytes, x, k, y + r, n);
    dot_row<type, kRows>(w + (r + half) * row_bytes, x, k, y + r + half, n);
  }
  if ((rows.end - rows.begin) % 2) dot_row<type, kRows>(w + (rows.end - 1) * row_bytes, x, k, y + rows.end - 1, n);
}

template <int kRows>
MARGAY_INLINE void float_dots_of(DType type, const char* w, const float* x, int64_t k, float* y, int64_t n, Range rows,
                                 float* unpacked) {
  const int64_t bytes = weight_row_bytes(type, k);
  if (type == DType::F32) return float_dots<DType::F32, kRows>(w, bytes, x, k, y, n, rows);
  if (type == DType::F16) return float_dots<DType::F16, kRows>(w, bytes, x, k, y, n, rows);
  if (type == DType::BF16) return float_dots<DType::BF16, kRows>(w, bytes, x, k, y, n, rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {  // quantized weights, asked for in float products
    prefetch_stream(w + r * bytes, static_cast<int>(bytes));
    unpack(type, w + r * bytes, 0, k, unpacked);
    dot_row<DType::F32, kRows>(reinterpret_cast<const char*>(unpacked), x, k, y + r, n);
  }
}

// y [count, n] = x [count, k] * w [n, k], for the rows of w in `rows`; count <= kFewRows. `unpacked`: k floats.
static inline void float_dot_products(DType type, const char* w, const float* x, int64_t count, int64_t k, float* y,
                                      int64_t n, Range rows, float* unpacked) {
  if (count == 1) float_dots_of<1>(type, w, x, k, y, n, rows, unpacked);
  if (count == 2) float_dots_of<2>(type, w, x, k, y, n, rows, unpacked);
  if (count == 3) float_dots_of<3>(type, w, x, k, y, n, rows, unpacked);
  if (count == 4) float_dots_of<4>(type, w, x, k, y, n, rows, unpacked);
}

}  // namespace MARGAY_ISA
}  // namespace margay::linear
