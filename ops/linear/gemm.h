// float32 matrix product c[m, n] = sum over k of a[m, k] * b[k, n], with b of any weight type, unpacked a panel at a
// time.
//
// A panel is kPanelDepth x 2 registers of b in [k][column] order. The tile of the inner loop is kTileRows x 2 registers
// of c: each k step loads two registers of the panel and broadcasts kTileRows elements of a straight from where they
// are, or from a packed copy where a's rows are a multiple of 4 KiB apart, which would all fall on the same sets of the
// L1 cache. On AVX-512 this reaches what OpenBLAS does (see ops/blas.h). C headers only.
#pragma once
#include "ops/kernel.h"
#include "ops/linear/tiles.h"
#include "ops/quant/unpack.h"

namespace margay::linear {
inline namespace MARGAY_ISA {

using namespace simd;

constexpr int kPanel = 2 * kWidth;
constexpr int kTileRows = kRegisters == 32 ? 12 : 6;  // 24 accumulators of 32 registers, 12 of 16
constexpr int kTileStep = kTileRows / 3;              // shorter tiles have a third or two thirds of the rows
static_assert(kPanel <= kWidestPanel && kTileRows <= kMostTileRows);

struct Gemm {
  const float* a;
  int64_t a_row, a_k;  // strides in elements
  const void* b;
  DType b_type;
  int64_t b_columns;  // of a row of b in memory
  bool b_transposed;  // b's rows in memory run along k (a weight [N, K]); otherwise along n
  float* c;
  int64_t c_row;
  int64_t m, n, k;
};

// rows x cols in one square of registers; rows and columns change places.
MARGAY_INLINE void transpose_square(const float* in, int64_t in_row, float* out, int64_t out_row) {
  F32 v[kWidth];
  for (int i = 0; i < kWidth; ++i) v[i] = load(in + i * in_row);
  simd::transpose_square(v);
  for (int i = 0; i < kWidth; ++i) store(out + i * out_row, v[i]);
}

// panel[k][column] = b for k0 <= k < k0 + depth and `columns` <= kPanel columns from n0; the columns after them are
// zero.
static inline void pack_panel(const Gemm& g, int64_t k0, int64_t depth, int64_t n0, int64_t columns, float* panel,
                              float* unpacked) {
  const int64_t row_bytes = weight_row_bytes(g.b_type, g.b_columns);
  const char* b = static_cast<const char*>(g.b);
  if (!g.b_transposed) {
    for (int64_t k = 0; k < depth; ++k) {
      unpack(g.b_type, b + (k0 + k) * row_bytes, n0, columns, panel + k * kPanel);
      for (int64_t j = columns; j < kPanel; ++j) panel[k * kPanel + j] = 0;
    }
    return;
  }
  const int64_t squares = depth / kWidth * kWidth;
  for (int64_t half = 0; half < kPanel; half += kWidth) {
    for (int64_t j = 0; j < kWidth; ++j) {
      float* row = unpacked + j * kPanelDepth;
      if (half + j < columns) unpack(g.b_type, b + (n0 + half + j) * row_bytes, k0, depth, row);
      else memset(row, 0, static_cast<size_t>(depth) * sizeof(float));
    }
    for (int64_t k = 0; k < squares; k += kWidth)
      transpose_square(unpacked + k, kPanelDepth, panel + k * kPanel + half, kPanel);
    for (int64_t k = squares; k < depth; ++k)
      for (int64_t j = 0; j < kWidth; ++j) panel[k * kPanel + half + j] = unpacked[j * kPanelDepth + k];
  }
}

// packed[block of kTileRows rows][k][row] = a for rows [m0, m1), k0 <= k < k0 + depth.
static inline void pack_rows(const Gemm& g, int64_t m0, int64_t m1, int64_t k0, int64_t depth, float* packed) {
  for (int64_t i = m0; i < m1; i += kTileRows, packed += kTileRows * depth) {
    const float* a = g.a + i * g.a_row + k0;
    int64_t k = 0;
    if (kWidth >= kTileRows &&
        i + kWidth <= m1)  // whole squares; what they write past a row is overwritten by the next
      for (; k + kWidth <= depth; k += kWidth) transpose_square(a + k, g.a_row, packed + k * kTileRows, kTileRows);
    const int64_t rows = m1 - i < kTileRows ? m1 - i : kTileRows;
    for (; k < depth; ++k)
      for (int64_t r = 0; r < rows; ++r) packed[k * kTileRows + r] = a[r * g.a_row + k];
  }
}

// c (+)= a * panel for a tile of kRows x kRegisters registers.
template <int kRows, int kRegisters>
static void tile(const float* a, int64_t a_row, int64_t a_k, const float* panel, int64_t depth, float* c, int64_t c_row,
                 bool add) {
  F32 sum[kRows][kRegisters];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kRegisters; ++j) sum[i][j] = zero();
  // Rows of a in groups, so that few pointers and multiples of the stride address them all.
  constexpr int kGroup = kRows > 4 ? kRows / (kRows % 3 ? 2 : 3) : kRows;
  const float* group[kRows / kGroup];
  for (int i = 0; i < kRows / kGroup; ++i) group[i] = a + i * kGroup * a_row;
  for (int64_t k = 0; k < depth; ++k) {
    F32 b[kRegisters];
#pragma GCC unroll 2
    for (int j = 0; j < kRegisters; ++j) b[j] = load(panel + j * kWidth);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const F32 x = splat(group[i / kGroup][i % kGroup * a_row]);
#pragma GCC unroll 2
      for (int j = 0; j < kRegisters; ++j) sum[i][j] += x * b[j];
    }
    panel += kPanel;
#pragma GCC unroll 3
    for (int i = 0; i < kRows / kGroup; ++i) group[i] += a_k;
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kRegisters; ++j) {
      float* p = c + i * c_row + j * kWidth;
      store(p, add ? load(p) + sum[i][j] : sum[i][j]);
    }
}

template <int kRegisters>
MARGAY_INLINE void tile_of(int64_t rows, const float* a, int64_t a_row, int64_t a_k, const float* panel, int64_t depth,
                           float* c, int64_t c_row, bool add) {
  // Fewer rows than a tile: whole steps, then single rows.
  if (rows == kTileRows) return tile<kTileRows, kRegisters>(a, a_row, a_k, panel, depth, c, c_row, add);
  while (rows > 0) {
    const int64_t n = rows >= 2 * kTileStep ? 2 * kTileStep : rows >= kTileStep ? kTileStep : 1;
    if (n == 2 * kTileStep) tile<2 * kTileStep, kRegisters>(a, a_row, a_k, panel, depth, c, c_row, add);
    else if (n == kTileStep) tile<kTileStep, kRegisters>(a, a_row, a_k, panel, depth, c, c_row, add);
    else tile<1, kRegisters>(a, a_row, a_k, panel, depth, c, c_row, add);
    a += n * a_row;
    c += n * c_row;
    rows -= n;
  }
}

// Rows [m.begin, m.end) and columns [n.begin, n.end) of c; n.begin is a multiple of kPanel.
static inline void gemm_part(const Gemm& g, Range m, Range n, float* scratch) {
  float *panel = scratch, *unpacked = panel + kPanelDepth * kPanel, *edge = unpacked + kWidth * kPanelDepth;
  float* packed = edge + kTileRows * kPanel;
  const bool pack = g.a_k == 1 && g.a_row % 1024 == 0 && n.end - n.begin >= 4 * kPanel;
  for (int64_t m0 = m.begin; m0 < m.end; m0 += kRowBlock) {
    const int64_t m1 = m0 + kRowBlock < m.end ? m0 + kRowBlock : m.end;
    for (int64_t k0 = 0; k0 < g.k; k0 += kPanelDepth) {
      const int64_t depth = g.k - k0 < kPanelDepth ? g.k - k0 : kPanelDepth;
      if (pack) pack_rows(g, m0, m1, k0, depth, packed);
      const int64_t a_row = pack ? 1 : g.a_row, a_k = pack ? kTileRows : g.a_k;
      for (int64_t n0 = n.begin; n0 < n.end; n0 += kPanel) {
        const int64_t columns = n.end - n0 < kPanel ? n.end - n0 : kPanel;
        pack_panel(g, k0, depth, n0, columns, panel, unpacked);
        for (int64_t i = m0; i < m1; i += kTileRows) {
          const int64_t rows = m1 - i < kTileRows ? m1 - i : kTileRows;
          const float* a = pack ? packed + (i - m0) * depth : g.a + i * g.a_row + k0 * g.a_k;
          float* c = g.c + i * g.c_row + n0;
          const bool add = k0 > 0;
          if (columns == kPanel) {
            tile_of<2>(rows, a, a_row, a_k, panel, depth, c, g.c_row, add);
          } else if (columns == kWidth) {
            tile_of<1>(rows, a, a_row, a_k, panel, depth, c, g.c_row, add);
          } else {  // the last columns, by way of a whole tile
            if (columns < kWidth) tile_of<1>(rows, a, a_row, a_k, panel, depth, edge, kPanel, false);
            else tile_of<2>(rows, a, a_row, a_k, panel, depth, edge, kPanel, false);
            for (int64_t r = 0; r < rows; ++r)
              for (int64_t j = 0; j < columns; ++j)
                c[r * g.c_row + j] = add ? c[r * g.c_row + j] + edge[r * kPanel + j] : edge[r * kPanel + j];
          }
        }
      }
    }
  }
}

// This thread's part: panels of columns where there are enough of them (each panel is then unpacked by one thread
// only), else rows. An element's value does not depend on the cut.
static inline void gemm(const Gemm& g, float* scratch, int thread, int threads) {
  if (g.k == 0) {
    const Range rows = share(g.m, 1, thread, threads);
    for (int64_t i = rows.begin; i < rows.end; ++i)
      memset(g.c + i * g.c_row, 0, static_cast<size_t>(g.n) * sizeof(float));
    return;
  }
  const int64_t panels = (g.n + kPanel - 1) / kPanel;
  if (panels >= 4 * threads || panels * kPanel > g.m)
    gemm_part(g, {0, g.m}, share(g.n, kPanel, thread, threads), scratch);
  else gemm_part(g, share(g.m, kTileRows, thread, threads), {0, g.n}, scratch);
}

}  // namespace MARGAY_ISA
}  // namespace margay::linear
