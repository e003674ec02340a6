// Small dense products on row-major tiles of float32, the arithmetic of attention and of feature maps. Tiles are
// padded: their columns are a multiple of kWidth and the padding is zero, so that no inner loop has a tail. C headers
// only.
//
// Every element is summed over k in ascending order, whatever the shape of the tile around it: results do not depend on
// how work is cut.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "ops/simd/vec.h"

namespace margay::simd {
inline namespace MARGAY_ISA {

constexpr int kTileVectors = kRegisters / 8;  // 6 x 4 accumulators of 32 registers, 6 x 2 of 16

MARGAY_INLINE int64_t pad(int64_t n) { return (n + kWidth - 1) / kWidth * kWidth; }

// C (+)= A B for R rows and V vectors of columns; A's element (m, k) is a[m * ar + k * ac].
template <int R, int V>
MARGAY_INLINE void product_tile(int64_t depth, const float* a, int64_t ar, int64_t ac, const float* b, int64_t ldb,
                                float* c, int64_t ldc, bool add) {
  F32 sum[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = add ? load(c + r * ldc + v * kWidth) : zero();
  for (int64_t k = 0; k < depth; ++k) {
    F32 row[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) row[v] = load(b + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F32 factor = splat(a[r * ar]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += factor * row[v];
    }
    a += ac;
    b += ldb;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(c + r * ldc + v * kWidth, sum[r][v]);
}

template <int V>
static inline void product_columns(int64_t rows, int64_t depth, const float* a, int64_t ar, int64_t ac, const float* b,
                                   int64_t ldb, float* c, int64_t ldc, bool add) {
  for (; rows >= 6; rows -= 6, a += 6 * ar, c += 6 * ldc) product_tile<6, V>(depth, a, ar, ac, b, ldb, c, ldc, add);
  if (rows >= 4) {
    product_tile<4, V>(depth, a, ar, ac, b, ldb, c, ldc, add);
    rows -= 4, a += 4 * ar, c += 4 * ldc;
  }
  if (rows >= 2) {
    product_tile<2, V>(depth, a, ar, ac, b, ldb, c, ldc, add);
    rows -= 2, a += 2 * ar, c += 2 * ldc;
  }
  if (rows) product_tile<1, V>(depth, a, ar, ac, b, ldb, c, ldc, add);
}

// C [rows, columns] (+)= A [rows, depth] B [depth, columns], columns a multiple of kWidth. With (ar, ac) = (lda, 1) A
// is row-major, with (1, lda) its transpose is.
static inline void product(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t ar, int64_t ac,
                           const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  int64_t left = columns / kWidth;
  for (; left >= kTileVectors; left -= kTileVectors, b += kTileVectors * kWidth, c += kTileVectors * kWidth)
    product_columns<kTileVectors>(rows, depth, a, ar, ac, b, ldb, c, ldc, add);
  if constexpr (kTileVectors == 4) {
    if (left == 3) return product_columns<3>(rows, depth, a, ar, ac, b, ldb, c, ldc, add);
    if (left == 2) return product_columns<2>(rows, depth, a, ar, ac, b, ldb, c, ldc, add);
  }
  if (left) product_columns<1>(rows, depth, a, ar, ac, b, ldb, c, ldc, add);
}

// to [columns, pad(rows)] = from [rows, columns] transposed; columns past `rows` are zero.
static inline void transpose(int64_t rows, int64_t columns, const float* from, int64_t ld_from, float* to,
                             int64_t ld_to) {
  for (int64_t r = 0; r < rows; r += kWidth)
    for (int64_t c = 0; c < columns; c += kWidth) {
      const int height = static_cast<int>(rows - r < kWidth ? rows - r : kWidth);
      const int width = static_cast<int>(columns - c < kWidth ? columns - c : kWidth);
      F32 square[kWidth];
      if (height == kWidth && width == kWidth) {
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i) square[i] = load(from + (r + i) * ld_from + c);
        transpose_square(square);
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i) store(to + (c + i) * ld_to + r, square[i]);
        continue;
      }
      for (int i = 0; i < kWidth; ++i) square[i] = i < height ? load_part(from + (r + i) * ld_from + c, width) : zero();
      transpose_square(square);
      for (int i = 0; i < width; ++i) store(to + (c + i) * ld_to + r, square[i]);
    }
}

// to [rows, pad(columns)] = factor * from [rows, columns] with zeros in the padding.
static inline void copy_rows(int64_t rows, int64_t columns, const float* from, int64_t ld_from, float factor, float* to,
                             int64_t ld_to) {
  const F32 scale = splat(factor);
  for (int64_t r = 0; r < rows; ++r, from += ld_from, to += ld_to) {
    int64_t c = 0;
    for (; c + kWidth <= columns; c += kWidth) store(to + c, load(from + c) * scale);
    if (c < columns) store(to + c, load_part(from + c, static_cast<int>(columns - c)) * scale);
  }
}

// to [rows, columns] (+)= from, a padded tile; nothing past `columns` is touched.
static inline void write_rows(int64_t rows, int64_t columns, const float* from, int64_t ld_from, float* to,
                              int64_t ld_to, bool add) {
  for (int64_t r = 0; r < rows; ++r, from += ld_from, to += ld_to) {
    int64_t c = 0;
    for (; c + kWidth <= columns; c += kWidth) store(to + c, add ? load(to + c) + load(from + c) : load(from + c));
    if (c < columns) {
      const int n = static_cast<int>(columns - c);
      store_part(to + c, add ? load_part(to + c, n) + load(from + c) : load(from + c), n);
    }
  }
}

static inline void fill(float* to, int64_t n, float value) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(to + i, splat(value));
  for (; i < n; ++i) to[i] = value;
}

// y [columns] += rows of x [rows, columns], padded columns.
static inline void add_rows(int64_t rows, int64_t columns, const float* x, int64_t ld, float* y) {
  for (int64_t c = 0; c < columns; c += kWidth) {
    F32 sum = load(y + c);
    for (int64_t r = 0; r < rows; ++r) sum += load(x + r * ld + c);
    store(y + c, sum);
  }
}

// Lane i is the sum over the lanes of row[i].
MARGAY_INLINE F32 row_sums(F32 (&row)[kWidth]) {
  transpose_square(row);
#pragma GCC unroll 4
  for (int half = kWidth / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int r = 0; r < half; ++r) row[r] += row[r + half];
  return row[0];
}

// out[i] = rows[i] . x for n rows of `length` floats with any stride (out has pad(n) elements, the rest is zero): the
// partial sums of kWidth rows are transposed and added, instead of a sum over lanes for each.
static inline void dots(int64_t n, int64_t length, const float* rows, int64_t stride, const float* x, float* out) {
  for (int64_t i = 0; i < n; i += kWidth) {
    F32 partial[kWidth];
    const int64_t count = n - i < kWidth ? n - i : kWidth;
    for (int64_t r = 0; r < kWidth; ++r) {
      F32 s0 = zero(), s1 = zero();
      if (r < count) {
        const float* row = rows + (i + r) * stride;
        int64_t c = 0;
        for (; c + 2 * kWidth <= length; c += 2 * kWidth) {
          s0 += load(row + c) * load(x + c);
          s1 += load(row + c + kWidth) * load(x + c + kWidth);
        }
        if (c + kWidth <= length) s0 += load(row + c) * load(x + c), c += kWidth;
        if (c < length) {
          const int tail = static_cast<int>(length - c);
          s1 += load_part(row + c, tail) * load_part(x + c, tail);
        }
      }
      partial[r] = s0 + s1;
    }
    store(out + i, row_sums(partial));
  }
}

// out[i] = a[i] . b[i] for n pairs of padded rows; out has pad(n) elements.
static inline void row_dots(int64_t n, int64_t columns, const float* a, int64_t lda, const float* b, int64_t ldb,
                            float* out) {
  for (int64_t i = 0; i < n; i += kWidth) {
    F32 partial[kWidth];
    for (int64_t r = 0; r < kWidth; ++r) {
      partial[r] = zero();
      if (i + r >= n) continue;
      for (int64_t c = 0; c < columns; c += kWidth)
        partial[r] += load(a + (i + r) * lda + c) * load(b + (i + r) * ldb + c);
    }
    store(out + i, row_sums(partial));
  }
}

// y [columns] += sum over k < depth of x[k] * rows[k], columns padded in y, any in rows.
static inline void add_combination(int64_t depth, int64_t columns, const float* x, const float* rows, int64_t stride,
                                   float* y) {
  int64_t c = 0;
  for (; c + 4 * kWidth <= columns; c += 4 * kWidth)
    product_tile<1, 4>(depth, x, 0, 1, rows + c, stride, y + c, 0, true);
  for (; c + kWidth <= columns; c += kWidth) product_tile<1, 1>(depth, x, 0, 1, rows + c, stride, y + c, 0, true);
  if (c < columns) {
    const int tail = static_cast<int>(columns - c);
    F32 sum = load(y + c);
    for (int64_t k = 0; k < depth; ++k) sum += load_part(rows + k * stride + c, tail) * splat(x[k]);
    store(y + c, sum);
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
