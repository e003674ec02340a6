// Many rows of quantized activations (columns, here) times Q8_0 or Q4_0 weights.
//
// 2 registers' worth of weight rows x kDepth of k are unpacked into a tile in L1: a 32-bit lane holds four consecutive
// k of one row. Each column then broadcasts its four bytes to all lanes, and the byte products leave the output's rows
// in the lanes: no horizontal sums. Unpacking is paid once for up to kColumnBlock columns, and no second copy of the
// weights exists. Block scales are applied exactly, in float32. C headers only.
#pragma once
#include "ops/kernel.h"
#include "ops/linear/tiles.h"
#include "ops/quant/activation.h"
#include "ops/quant/q4_0.h"
#include "ops/quant/q8_0.h"
#include "ops/simd/int8.h"

#if defined(MARGAY_INT8)
namespace margay::linear {
inline namespace MARGAY_ISA {

using namespace simd;

constexpr int kTileWeights = 2 * kWidth;  // weight rows of a tile
constexpr int kTileBlocks = kDepth / 32;
#if !defined(__AVX512F__)
constexpr int kColumns = 3;  // with 16 registers
#elif defined(__clang__)
constexpr int kColumns = 8;  // 16 integer and 16 float accumulators; clang spills few
#else
constexpr int kColumns = 6;
#endif

struct alignas(64) Tile {
  uint8_t q[kDepth / 4][2][4 * kWidth];
  float scale[kTileBlocks][kTileWeights];
};
static_assert(sizeof(Tile) <= kDepth * 32 + kDepth / 32 * 32 * 4);

// The inner product of a block of each type: begin, 8 steps of four k, end (an exact integer sum in each lane).
struct NibbleProduct {
  typedef BlockQ4_0 Block;
#if defined(__AVX512VNNI__)
  static constexpr bool kStartsAtOffset = true;
  MARGAY_INLINE Bytes step(Bytes sum, Bytes w, Bytes x) { return dot_nibbles(sum, w, x); }
  MARGAY_INLINE Bytes end(Bytes sum, int32_t) { return sum; }
#else
  // 16-bit sums hold a whole block: 8 steps x 2 x 15 x 127 = 30480.
  static constexpr bool kStartsAtOffset = false;
  MARGAY_INLINE Bytes step(Bytes sum, Bytes w, Bytes x) { return add_words(sum, pair_products(w, x)); }
  MARGAY_INLINE Bytes end(Bytes sum, int32_t offset) { return add_dwords(sum_pairs(sum), splat_dword(offset)); }
#endif
  static constexpr int kOffsetFactor = 1;
  MARGAY_INLINE void unpack(const uint8_t* const* row, int64_t at, uint8_t (*q)[2][4 * kWidth], int half) {
    Bytes t[4];
    transpose_dwords(row, at, t);
    for (int i = 0; i < 4; ++i) {
      store_bytes(q[i][half], low_nibbles(t[i]));
      store_bytes(q[4 + i][half], high_nibbles(t[i]));
    }
  }
};

struct ByteProduct {
  typedef BlockQ8_0 Block;
  static constexpr bool kStartsAtOffset = kShiftedBytes;
  static constexpr int kOffsetFactor = 16;
  MARGAY_INLINE Bytes step(Bytes sum, Bytes w, Bytes x) { return dot_bytes(sum, w, x); }
  MARGAY_INLINE Bytes end(Bytes sum, int32_t) { return sum; }
  MARGAY_INLINE void unpack(const uint8_t* const* row, int64_t at, uint8_t (*q)[2][4 * kWidth], int half) {
    for (int part = 0; part < 2; ++part) {
      Bytes t[4];
      transpose_dwords(row, at + 16 * part, t);
      for (int i = 0; i < 4; ++i) store_bytes(q[4 * part + i][half], kShiftedBytes ? flip_sign_bits(t[i]) : t[i]);
    }
  }
};

// `blocks` blocks from block `first` of the rows at `row` (kTileWeights pointers).
template <class Product>
static void unpack_tile(const uint8_t* const* row, int64_t first, int blocks, Tile* tile) {
  for (int half = 0; half < 2; ++half)
    for (int b = 0; b < blocks; ++b) {
      const int64_t at = (first + b) * static_cast<int64_t>(sizeof(typename Product::Block));
      uint16_t d[kWidth];
      for (int r = 0; r < kWidth; ++r) memcpy(d + r, row[half * kWidth + r] + at, 2);
      store(tile->scale[b] + half * kWidth, load_half(d));
      Product::unpack(row + half * kWidth, at + 2, tile->q + 8 * b, half);
    }
}

// sums [kCount][kTileWeights] += tile x columns [first_column, + kCount) of x, for the tile's blocks.
template <class Product, int kCount>
static void multiply_tile(const Tile& tile, const void* x, int64_t k, int64_t first_column, int64_t first_block,
                          int blocks, float* sums) {
  // One pointer a column; where its bytes, scales and offsets are from there is the same for all.
  const char* column[kCount];
  for (int c = 0; c < kCount; ++c)
    column[c] = static_cast<const char*>(x) + (first_column + c) * activation_row_bytes(k);
  int64_t at_q = 32 * first_block, at_scale = k + 4 * first_block, at_offset = at_scale + k / 8;
  F32 total[kCount][2];
#pragma GCC unroll 8
  for (int c = 0; c < kCount; ++c)
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) total[c][h] = load(sums + c * kTileWeights + h * kWidth);
  for (int b = 0; b < blocks; ++b) {
    Bytes sum[kCount][2];
    int32_t offset[kCount];
#pragma GCC unroll 8
    for (int c = 0; c < kCount; ++c) {
      memcpy(&offset[c], column[c] + at_offset, 4);
      if (Product::kOffsetFactor != 1) offset[c] *= Product::kOffsetFactor;
      sum[c][0] = sum[c][1] = splat_dword(Product::kStartsAtOffset ? offset[c] : 0);
    }
#pragma GCC unroll 8
    for (int step = 0; step < 8; ++step) {
      const Bytes w0 = load_bytes(tile.q[8 * b + step][0]), w1 = load_bytes(tile.q[8 * b + step][1]);
#pragma GCC unroll 8
      for (int c = 0; c < kCount; ++c) {
        int32_t four;
        memcpy(&four, column[c] + at_q + 4 * step, 4);
        const Bytes v = splat_dword(four);
        sum[c][0] = Product::step(sum[c][0], w0, v);
        sum[c][1] = Product::step(sum[c][1], w1, v);
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < kCount; ++c) {
      float scale;
      memcpy(&scale, column[c] + at_scale, 4);
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h)
        total[c][h] += (to_float(Product::end(sum[c][h], offset[c])) * scale) * load(tile.scale[b] + h * kWidth);
    }
    at_q += 32;
    at_scale += 4;
    at_offset += 4;
  }
#pragma GCC unroll 8
  for (int c = 0; c < kCount; ++c)
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) store(sums + c * kTileWeights + h * kWidth, total[c][h]);
}

// y [count, n] = x [count, k] * w [n, k] for the rows of w in `rows`, which begin at a multiple of kTileWeights.
template <class Product>
static void tile_products(const uint8_t* w, const void* x, int64_t count, int64_t k, float* y, int64_t n, Range rows,
                          char* scratch) {
  const int64_t row_bytes = k / 32 * static_cast<int64_t>(sizeof(typename Product::Block));
  Tile* tile = reinterpret_cast<Tile*>(scratch);
  float* sums = reinterpret_cast<float*>(scratch + sizeof(Tile));
  for (int64_t c0 = 0; c0 < count; c0 += kColumnBlock) {
    const int64_t c1 = c0 + kColumnBlock < count ? c0 + kColumnBlock : count;
    for (int64_t pass = 0; pass < k; pass += kPassDepth) {
      const int64_t pass_end = pass + kPassDepth < k ? pass + kPassDepth : k;
      for (int64_t r0 = rows.begin; r0 < rows.end; r0 += kTileWeights) {
        const int64_t count_rows = rows.end - r0 < kTileWeights ? rows.end - r0 : kTileWeights;
        const uint8_t* row[kTileWeights];
        for (int64_t r = 0; r < kTileWeights; ++r)
          row[r] = w + (r0 + (r < count_rows ? r : count_rows - 1)) * row_bytes;
        memset(sums, 0, static_cast<size_t>((c1 - c0) * kTileWeights) * sizeof(float));
        for (int64_t k0 = pass; k0 < pass_end; k0 += kDepth) {
          const int blocks = static_cast<int>((pass_end - k0 < kDepth ? pass_end - k0 : kDepth) / 32);
          unpack_tile<Product>(row, k0 / 32, blocks, tile);
          int64_t c = c0;
          for (; c + kColumns <= c1; c += kColumns)
            multiply_tile<Product, kColumns>(*tile, x, k, c, k0 / 32, blocks, sums + (c - c0) * kTileWeights);
          for (; c < c1; ++c)
            multiply_tile<Product, 1>(*tile, x, k, c, k0 / 32, blocks, sums + (c - c0) * kTileWeights);
        }
        for (int64_t c = c0; c < c1; ++c) {
          float* out = y + c * n + r0;
          const float* sum = sums + (c - c0) * kTileWeights;
          if (pass == 0 && count_rows == kTileWeights) memcpy(out, sum, kTileWeights * sizeof(float));
          else
            for (int64_t r = 0; r < count_rows; ++r) out[r] = pass ? out[r] + sum[r] : sum[r];
        }
      }
    }
  }
}

static inline void int8_tile_products(DType type, const void* w, const void* x, int64_t count, int64_t k, float* y,
                                      int64_t n, Range rows, char* scratch) {
  const uint8_t* bytes = static_cast<const uint8_t*>(w);
  if (type == DType::Q4_0) tile_products<NibbleProduct>(bytes, x, count, k, y, n, rows, scratch);
  else tile_products<ByteProduct>(bytes, x, count, k, y, n, rows, scratch);
}

}  // namespace MARGAY_ISA
}  // namespace margay::linear
#endif
