// Rows of quantized activations (columns, here) times weights of any quantized type: one template over the unpackers of
// ops/quant/interleave.h, for one column as for 512.
//
// A 32-bit lane belongs to a row of the weight and holds four consecutive k of it; each column broadcasts its four
// bytes to all lanes, and the byte products leave the output's rows in the lanes: no horizontal sums, no second copy of
// the weights. Up to kFewColumns columns are multiplied straight from registers. For more, 2 registers' worth of rows x
// kDepth of k are unpacked into a tile in L1, which is paid once for up to kColumnBlock columns.
//
// The scales of groups are applied exactly, in float32, and the sums of an output are taken in the same order in both,
// however many columns there are: decoding, prefill and batches of any size agree bit for bit. C headers only.
#pragma once
#include "ops/kernel.h"
#include "ops/linear/i8mm.h"
#include "ops/linear/tiles.h"
#include "ops/quant/activation.h"
#include "ops/quant/interleave.h"

namespace margay::linear {
inline namespace MARGAY_ISA {

using namespace simd;

constexpr int kTileWeights = 2 * kWidth;  // weight rows of a tile
constexpr int kFewColumns = 2;
#if defined(__AVX512F__) || defined(MARGAY_NEON_DOT)
constexpr int kColumns = 8;  // of a panel at a time: 16 sums in 32 registers
#else
constexpr int kColumns = 4;  // 8 sums in 16 registers, or with twice as many 16-bit ones in 32
#endif

// --- columns ---------------------------------------------------------------------------------------------------------
// kCount columns of a panel of kPanel, from one k on.
template <int kCount, int kPanel>
struct Columns {
  static constexpr int kPanelColumns = kPanel;
  const char *q, *scale, *sum, *half_sum;

  MARGAY_MEMBER Columns(const void* x, int64_t k, int64_t first, int64_t k0) {
    const int64_t in_panel = kPanel == kCount ? 0 : first % kPanel;
    q = static_cast<const char*>(x) + (first - in_panel) * activation_row_bytes(k) + 4 * in_panel;
    const ActivationPlanes plane = activation_planes(k);
    scale = q + 4 * kPanel * plane.scale, sum = q + 4 * kPanel * plane.sum, half_sum = q + 4 * kPanel * plane.half_sum;
    advance(k0);
  }
  MARGAY_MEMBER void advance(int64_t elements) {  // a multiple of 32
    q += kPanel * elements;
    scale += kPanel * elements / 8, sum += kPanel * elements / 8, half_sum += kPanel * elements / 8;
  }
  // Products take the unit-th four bytes of column c from here on.
  MARGAY_MEMBER Spread bytes(int unit, int c) const { return spread(q, kPanel * unit + c); }
  // The unit-th four bytes of column c.
  template <class T>
  static MARGAY_MEMBER T unit(const char* plane, int unit, int c) {
    T v;
    memcpy(&v, plane + 4 * (kPanel * unit + c), sizeof v);
    return v;
  }
};

// What a group's sum of products starts at: minus kZero times the column's sum. `group` counts from where x is.
template <class Block, class X>
MARGAY_INLINE I32 start_of(const X& x, int c, int group) {
  constexpr uint32_t kZeros = -Levels<Block>::kZero & 0xffff;
  if (kZeros == 0) return I32{};
  const int block = group * Block::kGroup / 32;
#if defined(MARGAY_NEON)  // the integer units have nothing else to do
  const int32_t halves = x.template unit<int32_t>(x.half_sum, block, c);
  const int32_t first = static_cast<int16_t>(halves), second = halves >> 16;
  return (Block::kGroup == 32 ? first + second : group % 2 ? second : first) * -Levels<Block>::kZero - I32{};
#else
  const uint32_t zeros = Block::kGroup == 32 ? kZeros << 16 | kZeros : group % 2 ? kZeros << 16 : kZeros;
  return word_products((SignedWords)splat_dword(x.template unit<int32_t>(x.half_sum, block, c)),
                       (SignedWords)splat_dword(static_cast<int32_t>(zeros)));
#endif
}

// total + the products of a block of 32, one or two groups, under the scales (and shifts) of activation and weights.
template <class Block, class X, class SumOf, class ScaleOf, class ShiftOf>
MARGAY_INLINE F32 add_block(F32 total, const X& x, int c, int block, SumOf sum, ScaleOf scale, ShiftOf shift) {
  const float x_scale = x.template unit<float>(x.scale, block, c);
  const auto products = [&](int group) { return __builtin_convertvector(sum(group), F32); };
  if (Block::kGroup == 32) {
    total += (products(0) * x_scale) * scale(0);
    if (Levels<Block>::kShift) total += shift(0) * x.template unit<float>(x.sum, block, c);
    return total;
  }
  F32 both = products(0) * scale(0);
  both += products(1) * scale(1);
  if (Levels<Block>::kShift) {
    const int32_t halves = x.template unit<int32_t>(x.half_sum, block, c);
    both += shift(0) * static_cast<float>(static_cast<int16_t>(halves));
    both += shift(1) * static_cast<float>(halves >> 16);
  }
  return total + both * x_scale;
}

// How steps of products are added where there is no byte dot product: so many fit 16 bits, |x| being at most 128.
template <class Block>
struct Steps {
  static constexpr int kGroup = Block::kGroup / 4, kFitting = 32767 / (2 * 128 * Levels<Block>::kHighest);
  static constexpr bool kWords = !kByteDot && !Levels<Block>::kSigned && kFitting > 1;
  static constexpr int kRun = !kWords ? 1 : kFitting < kGroup ? kFitting : kGroup;
  static_assert(kGroup % kRun == 0);
};

template <class Block>
MARGAY_INLINE I32 add_products(I32 sum, Bytes w, Spread x) {
  return Levels<Block>::kSigned ? signed_byte_dot(sum, w, x) : byte_dot(sum, w, x);
}

// Memory is fetched into L2 in one line from begin to end, though kWidth rows are read side by side: so far ahead of the
// next kWidth rows (about a microsecond of the read bandwidth), and a line every few steps of the unpacking, because a
// burst of fetches would hold up the loads behind it. May go past the end of memory.
constexpr int64_t kFetchLead = 32 << 10;
template <class Block>
MARGAY_INLINE void fetch_step(const uint8_t* ahead, int step) {
  constexpr int kSteps = Block::kLength / 4, kLines = (kWidth * sizeof(Block) + 63) / 64;
  const int begin = step * kLines / kSteps, end = (step + 1) * kLines / kSteps;
  MARGAY_UNROLL
  for (int i = 0; i < (kLines + kSteps - 1) / kSteps; ++i)
    if (begin + i < end) prefetch_far(ahead + 64 * (begin + i));
}

// --- few columns -----------------------------------------------------------------------------------------------------
// An Out of unpack_rows() that multiplies at once.
template <class Block, int kCount>
struct Multiplier {
  typedef Steps<Block> S;
  static constexpr int kGroups = Block::kLength / Block::kGroup;
  typedef Columns<kCount, kCount> X;
  const X& x;
  const uint8_t* ahead;
  I32 sum[kGroups][kCount];
  PairSums words[kGroups][kCount];
  F32 scale[kGroups], shift[kGroups];

  MARGAY_MEMBER Multiplier(const X& columns, const uint8_t* fetched) : x(columns), ahead(fetched) {
    MARGAY_UNROLL
    for (int g = 0; g < kGroups; ++g)
      for (int c = 0; c < kCount; ++c) sum[g][c] = start_of<Block>(x, c, g);
  }
  MARGAY_MEMBER void put(int step, Bytes levels) {  // the steps of a group come in order
    fetch_step<Block>(ahead, step);
    const int g = step / S::kGroup;
    for (int c = 0; c < kCount; ++c) {
      const auto v = x.bytes(step, c);
      if constexpr (S::kWords) {
        words[g][c] = step % S::kRun ? add_pair_products(words[g][c], levels, v) : pair_products(levels, v);
        if ((step + 1) % S::kRun == 0) sum[g][c] = add_pairs(sum[g][c], words[g][c]);
      } else {
        sum[g][c] = add_products<Block>(sum[g][c], levels, v);
      }
    }
  }
  MARGAY_MEMBER void put_signed(int step, Bytes levels) { put(step, kFlipSigned ? flip_sign_bits(levels) : levels); }
  MARGAY_MEMBER void put_scale(int group, F32 v) { scale[group] = v; }
  MARGAY_MEMBER void put_shift(int group, F32 v) { shift[group] = v; }

  MARGAY_MEMBER void add_to(F32* total) const {
    MARGAY_UNROLL
    for (int b = 0; b < Block::kLength / 32; ++b)
      for (int c = 0; c < kCount; ++c) {
        const int g = b * (32 / Block::kGroup);
        total[c] = add_block<Block>(
            total[c], x, c, b, [&](int i) { return sum[g + i][c]; }, [&](int i) { return scale[g + i]; },
            [&](int i) { return shift[g + i]; });
      }
  }
};

// y for kWidth rows, which follow each other without a gap.
template <class Block, int kCount>
MARGAY_LOOP void multiply_few(const uint8_t* w, const void* x, int64_t k, float* y, int64_t n) {
  constexpr int64_t kSize = sizeof(Block);
  const int64_t blocks = k / Block::kLength, pass_blocks = kPassDepth / Block::kLength;
  Rows rows(w, blocks * kSize);
  const uint8_t* ahead = w + kWidth * blocks * kSize + kFetchLead;
  Columns<kCount, kCount> columns(x, k, 0, 0);
  F32 result[kCount] = {};
  for (int64_t pass = 0; pass < blocks; pass += pass_blocks) {
    F32 total[kCount] = {};
    const int64_t end = pass + pass_blocks < blocks ? pass + pass_blocks : blocks;
    for (int64_t b = pass; b < end; ++b) {
      Multiplier<Block, kCount> out(columns, ahead);
      ahead += kWidth * kSize;
      unpack_rows(static_cast<const Block*>(nullptr), rows, out);
      out.add_to(total);
      rows.advance(kSize);
      columns.advance(Block::kLength);
    }
    for (int c = 0; c < kCount; ++c) result[c] = pass ? result[c] + total[c] : total[c];
  }
  for (int c = 0; c < kCount; ++c) store(y + c * n, result[c]);
}

// --- tiles -----------------------------------------------------------------------------------------------------------
struct alignas(64) Tile {
  uint8_t q[kDepth / 4][2][4 * kWidth];
  float scale[kDepth / 16][kTileWeights], shift[kDepth / 16][kTileWeights];  // of each group
  uint8_t edge[kTileWeights * kDepth / 32 * sizeof(BlockQ8_0)];  // rows at the matrix' end, the last one repeated
};
static_assert(sizeof(Tile) + kColumnBlock * kTileWeights * sizeof(float) <= int8_scratch());

// An Out of unpack_rows() that is half of a tile's rows.
template <class Block>
struct TileHalf {
  uint8_t* q;
  float *scale, *shift;
  const uint8_t* ahead;
  MARGAY_MEMBER void put(int step, Bytes levels) {
    fetch_step<Block>(ahead, step);
    store_bytes(q + step * 4 * kTileWeights, levels);
  }
  MARGAY_MEMBER void put_signed(int step, Bytes levels) { put(step, kFlipSigned ? flip_sign_bits(levels) : levels); }
  MARGAY_MEMBER void put_scale(int group, F32 v) { store(scale + group * kTileWeights, v); }
  MARGAY_MEMBER void put_shift(int group, F32 v) { store(shift + group * kTileWeights, v); }
};

// `blocks` blocks of kTileWeights rows, `stride` bytes apart, from w on; as many bytes from `ahead` on are fetched.
template <class Block>
MARGAY_LOOP void unpack_tile(const uint8_t* w, int64_t stride, int blocks, Tile* tile, const uint8_t* ahead) {
  constexpr int kSteps = Block::kLength / 4, kGroups = Block::kLength / Block::kGroup;
  for (int half = 0; half < 2; ++half) {
    Rows rows(w + half * kWidth * stride, stride);
    for (int b = 0; b < blocks; ++b) {
      TileHalf<Block> out = {tile->q[b * kSteps][half], tile->scale[b * kGroups] + half * kWidth,
                             tile->shift[b * kGroups] + half * kWidth, ahead};
      unpack_rows(static_cast<const Block*>(nullptr), rows, out);
#if defined(MARGAY_NEON_I8MM)
      for (int s = b * kSteps; s < (b + 1) * kSteps; s += 2) pair_steps(tile->q[s][half], tile->q[s + 1][half]);
#endif
      rows.advance(sizeof(Block));
      ahead += kWidth * sizeof(Block);
    }
  }
}

// sum[c][h] = the products of a group of the tile with each column; in_block: which group of its 32.
template <class Block, int kCount, class X>
MARGAY_INLINE void group_products(const Tile& tile, const X& x, int group, int in_block, I32 (*sum)[2]) {
  typedef Steps<Block> S;
  MARGAY_UNROLL
  for (int c = 0; c < kCount; ++c) sum[c][0] = sum[c][1] = start_of<Block>(x, c, in_block);
#if defined(MARGAY_NEON_I8MM)
  constexpr int kPanel = X::kPanelColumns;
  matrix_products<kCount, kPanel, S::kGroup>(tile.q + group * S::kGroup, x.q + 4 * kPanel * in_block * S::kGroup, sum);
#else
  MARGAY_UNROLL
  for (int run = 0; run < S::kGroup; run += S::kRun) {
    PairSums words[kCount][2];
    MARGAY_UNROLL
    for (int s = run; s < run + S::kRun; ++s) {
      const auto& w = tile.q[group * S::kGroup + s];
      const Bytes w0 = load_bytes(w[0]), w1 = load_bytes(w[1]);
      MARGAY_UNROLL
      for (int c = 0; c < kCount; ++c) {
        const auto v = x.bytes(in_block * S::kGroup + s, c);
        if constexpr (S::kWords) {
          words[c][0] = s == run ? pair_products(w0, v) : add_pair_products(words[c][0], w0, v);
          words[c][1] = s == run ? pair_products(w1, v) : add_pair_products(words[c][1], w1, v);
        } else {
          sum[c][0] = add_products<Block>(sum[c][0], w0, v);
          sum[c][1] = add_products<Block>(sum[c][1], w1, v);
        }
      }
    }
    if (S::kWords) MARGAY_UNROLL
    for (int c = 0; c < kCount; ++c) {
      sum[c][0] = add_pairs(sum[c][0], words[c][0]);
      sum[c][1] = add_pairs(sum[c][1], words[c][1]);
    }
  }
#endif
}

// sums [kCount][kTileWeights] += tile x columns [first, + kCount) of x, for `depth` of k from k0 on.
template <class Block, int kCount, int kPanel>
MARGAY_LOOP void multiply_tile(const Tile& tile, const void* x, int64_t k, int64_t first, int64_t k0, int64_t depth,
                               float* sums) {
  constexpr int kGroups = 32 / Block::kGroup;
  Columns<kCount, kPanel> columns(x, k, first, k0);
  for (int group = 0; group < depth / Block::kGroup; group += kGroups, columns.advance(32)) {
    I32 sum[kGroups][kCount][2];
    MARGAY_UNROLL
    for (int i = 0; i < kGroups; ++i) group_products<Block, kCount>(tile, columns, group + i, i, sum[i]);
    MARGAY_UNROLL
    for (int c = 0; c < kCount; ++c) MARGAY_UNROLL
    for (int h = 0; h < 2; ++h) {
      float* out = sums + c * kTileWeights + h * kWidth;
      store(out, add_block<Block>(
                     load(out), columns, c, 0, [&](int i) { return sum[i][c][h]; },
                     [&](int i) { return load(tile.scale[group + i] + h * kWidth); },
                     [&](int i) { return load(tile.shift[group + i] + h * kWidth); }));
    }
  }
}

// --- the product -----------------------------------------------------------------------------------------------------
template <class Block>
struct Int8Product {
  const uint8_t* w;
  const void* x;
  int64_t k;
  float* y;
  int64_t n;
  Tile* tile;
  float* sums;

  int64_t row_bytes() const { return k / Block::kLength * static_cast<int64_t>(sizeof(Block)); }

  // sums [c1 - c0][kTileWeights] of weight rows [r0, r1) (a tile's, or fewer at the end) and one pass over k.
  void add_up(int64_t r0, int64_t r1, int64_t c0, int64_t c1, int64_t pass) const {
    memset(sums, 0, static_cast<size_t>((c1 - c0) * kTileWeights) * sizeof(float));
    const int64_t end = pass + kPassDepth < k ? pass + kPassDepth : k;
    for (int64_t k0 = pass; k0 < end; k0 += kDepth) {
      const int64_t depth = end - k0 < kDepth ? end - k0 : kDepth;
      const int blocks = static_cast<int>(depth / Block::kLength);
      const int64_t bytes = blocks * static_cast<int64_t>(sizeof(Block));
      const uint8_t* at = w + r0 * row_bytes() + k0 / Block::kLength * static_cast<int64_t>(sizeof(Block));
      const uint8_t* ahead =
          w + (r0 + kTileWeights) * row_bytes() + kTileWeights * (at - w - r0 * row_bytes()) + kFetchLead;
      if (r1 - r0 == kTileWeights) {
        unpack_tile<Block>(at, row_bytes(), blocks, tile, ahead);
      } else {
        for (int64_t r = 0; r < kTileWeights; ++r)
          memcpy(tile->edge + r * bytes, at + (r < r1 - r0 ? r : r1 - r0 - 1) * row_bytes(),
                 static_cast<size_t>(bytes));
        unpack_tile<Block>(tile->edge, bytes, blocks, tile, ahead);
      }
      // Panels of x, as ops/quant/activation.h has them.
      int64_t c = c0;
      for (; c + kPanelRows <= c1; c += kPanelRows)
        for (int64_t i = 0; i < kPanelRows; i += kColumns) multiply<kColumns, kPanelRows>(c + i, c0, k0, depth);
      if (c + 4 <= c1) multiply<4, 4>(c, c0, k0, depth), c += 4;
      if (c + 2 <= c1) multiply<2, 2>(c, c0, k0, depth), c += 2;
      if (c < c1) multiply<1, 1>(c, c0, k0, depth);
    }
  }

  template <int kCount, int kPanel>
  void multiply(int64_t c, int64_t c0, int64_t k0, int64_t depth) const {
    multiply_tile<Block, kCount, kPanel>(*tile, x, k, c, k0, depth, sums + (c - c0) * kTileWeights);
  }

  void tile_rows(int64_t r0, int64_t r1, int64_t c0, int64_t c1, int64_t pass) const {
    add_up(r0, r1, c0, c1, pass);
    for (int64_t c = c0; c < c1; ++c) {
      float* out = y + c * n;
      const float* sum = sums + (c - c0) * kTileWeights - r0;
      for (int64_t r = r0; r < r1; ++r) out[r] = pass ? out[r] + sum[r] : sum[r];
    }
  }

  // Each weight is read once, from begin to end.
  void stream(Range rows, int64_t count) const {
    int64_t r = rows.begin;
    if (count <= kFewColumns)
      for (; r + kWidth <= rows.end; r += kWidth) {
        if (count == 1) multiply_few<Block, 1>(w + r * row_bytes(), x, k, y + r, n);
        else multiply_few<Block, 2>(w + r * row_bytes(), x, k, y + r, n);
      }
    for (; r < rows.end; r += kTileWeights)
      for (int64_t pass = 0; pass < k; pass += kPassDepth)
        tile_rows(r, r + kTileWeights < rows.end ? r + kTileWeights : rows.end, 0, count, pass);
  }

  // The activations of a pass stay in L2 while all weights go by.
  void block(Range rows, int64_t count) const {
    for (int64_t c = 0; c < count; c += kColumnBlock)
      for (int64_t pass = 0; pass < k; pass += kPassDepth)
        for (int64_t r = rows.begin; r < rows.end; r += kTileWeights)
          tile_rows(r, r + kTileWeights < rows.end ? r + kTileWeights : rows.end, c,
                    c + kColumnBlock < count ? c + kColumnBlock : count, pass);
  }
};

// y [count, n] = x [count, k] * w [n, k]: this thread's rows of w.
static inline void int8_products(DType type, const void* w, const void* x, int64_t count, int64_t k, float* y,
                                 int64_t n, int thread, int threads, char* scratch) {
  const Range rows = share(n, kTileWeights, thread, threads);
  const auto product = [&](auto block) {
    const Int8Product<decltype(block)> p = {static_cast<const uint8_t*>(w),
                                            x,
                                            k,
                                            y,
                                            n,
                                            reinterpret_cast<Tile*>(scratch),
                                            reinterpret_cast<float*>(scratch + sizeof(Tile))};
    if (count * k <= kStreamedActivations) p.stream(rows, count);
    else p.block(rows, count);
  };
  switch (type) {
#define MARGAY_CASE(type) \
  case DType::type:       \
    return product(Block##type{});
    MARGAY_BLOCK_TYPES(MARGAY_CASE)
#undef MARGAY_CASE
    default:
      return;
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::linear
