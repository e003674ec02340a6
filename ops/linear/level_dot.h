// Few rows of quantized activations times weights that are levels under scales (ops/quant/levels.h): one template over
// the types.
//
// 256 weights at a time are split into bytes and 16 scales and shifts in L1; then each row of x takes their byte
// products. A 32-bit lane sums four products, four lanes are a group of 16, and the group's scales of weight and
// activation multiply those four lanes: one float sum a lane for the whole row. What the levels' bias and the type's
// shift add is one product with the activation's group sums. C headers only.
#pragma once
#include "ops/kernel.h"
#include "ops/linear/tiles.h"
#include "ops/quant/activation.h"
#include "ops/quant/blocks.h"
#include "ops/simd/int8.h"

namespace margay::linear {
inline namespace MARGAY_ISA {

using namespace simd;

// The activations that meet 256 weights; zeros past the row's end.
struct alignas(64) LevelActivation {
  int8_t q[256];
  float scale[16], sum[16];  // of each group of 16; sum: of scale * q
};
// int8_scratch() has room for them.
static_assert(sizeof(LevelActivation) * 2 <= 17 * 64 + 4 * 64);

static inline void lay_out_levels(const ActivationRow& x, int64_t k, LevelActivation* out) {
  for (int64_t k0 = 0; k0 < k; k0 += 256, ++out) {
    const int64_t count = k - k0 < 256 ? k - k0 : 256;
    if (count < 256) memset(out, 0, sizeof *out);
    memcpy(out->q, x.q + k0, static_cast<size_t>(count));
    for (int64_t g = 0; g < count / 16; ++g) {
      int32_t sum = 0;
      for (int i = 0; i < 16; ++i) sum += out->q[16 * g + i];
      out->scale[g] = x.scale[(k0 + 16 * g) / 32];
      out->sum[g] = out->scale[g] * static_cast<float>(sum);
    }
  }
}

// 256 weights: weight i = scale[i / 16] * q[i] + shift[i / 16], q biased to what the byte products take.
struct SplitWeights {
  alignas(64) uint8_t q[256];
  alignas(64) float scale[16], shift[16];
};

template <class Block>
struct LevelProduct {
  // Levels of 8 bits are signed where there is no vpdpbusd: unsigned ones would saturate vpmaddubsw.
  static constexpr bool kEightBits = Block::kLowest < -64;
#if defined(MARGAY_INT8)
  static constexpr int kBias = kEightBits && !kShiftedBytes ? 0 : -Block::kLowest;
  MARGAY_INLINE Bytes products(Bytes w, Bytes x) {
    return kEightBits ? dot_bytes(splat_byte(0), w, x) : dot_nibbles(splat_byte(0), w, x);
  }
#else
  static constexpr int kBias = 0;
#endif

  MARGAY_INLINE void split(const Block* block, int64_t count, SplitWeights* w) {
    constexpr int kGroups = Block::kLength / 16;
    if (count * Block::kLength < 256) memset(w, 0, sizeof *w);
    for (int64_t i = 0; i < count; ++i)
      split_levels<kBias>(block[i], w->q + i * Block::kLength, w->scale + i * kGroups, w->shift + i * kGroups);
    if (kBias)
      for (int g = 0; g < 16; ++g) w->shift[g] -= static_cast<float>(kBias) * w->scale[g];
  }
};

#if defined(MARGAY_INT8)
// Each of the register's groups' scale in the group's four lanes.
MARGAY_INLINE F32 group_scales(const float* scale, int j) {
#if defined(__AVX512F__)
  const __m512i lane = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  return (F32)_mm512_permutexvar_ps(lane, _mm512_castps128_ps512(_mm_load_ps(scale + 4 * j)));
#else
  return (F32)_mm256_set_m128(_mm_set1_ps(scale[2 * j + 1]), _mm_set1_ps(scale[2 * j]));
#endif
}
#endif

// `total` += 256 weights times an activation.
template <class Block>
MARGAY_INLINE void add_levels(const SplitWeights& w, const LevelActivation& x, F32* total) {
#if defined(MARGAY_INT8)
  alignas(64) float scale[16];
  for (int g = 0; g < 16; g += kWidth) {
    store(scale + g, load(w.scale + g) * load(x.scale + g));
    total[0] += load(w.shift + g) * load(x.sum + g);
  }
#pragma GCC unroll 8
  for (int j = 0; j < 64 / kWidth; ++j) {
    const Bytes sums =
        LevelProduct<Block>::products(load_bytes(w.q + 4 * kWidth * j), load_bytes(x.q + 4 * kWidth * j));
    total[j % 2] += to_float(sums) * group_scales(scale, j);
  }
#else
  for (int g = 0; g < 16; ++g) {
    int32_t sum = 0;
    for (int i = 16 * g; i < 16 * g + 16; ++i) sum += static_cast<int8_t>(w.q[i]) * x.q[i];
    total[0][g % kWidth] += static_cast<float>(sum) * (w.scale[g] * x.scale[g]) + w.shift[g] * x.sum[g];
  }
#endif
}

template <class Block, int kRows>
static void level_row(const Block* w, int64_t blocks, const LevelActivation* x, int64_t x_row, float* y,
                      int64_t y_row) {
  constexpr int kBlocks = 256 / Block::kLength;
  F32 total[kRows][2];
  for (int r = 0; r < kRows; ++r) total[r][0] = total[r][1] = zero();
  SplitWeights split;
  for (; blocks > 0; blocks -= kBlocks, w += kBlocks, ++x) {
    const int64_t count = blocks < kBlocks ? blocks : kBlocks;
    prefetch_stream(w, static_cast<int>(count * static_cast<int64_t>(sizeof(Block))));
    if (count == kBlocks) LevelProduct<Block>::split(w, kBlocks, &split);  // of known length
    else LevelProduct<Block>::split(w, count, &split);
    for (int r = 0; r < kRows; ++r) add_levels<Block>(split, x[r * x_row], total[r]);
  }
  for (int r = 0; r < kRows; ++r) y[r * y_row] = simd::sum(total[r][0] + total[r][1]);
}

// y [count, n] = x [count, k] * w [n, k] for the rows of w in `rows`; any count, kFewRows at a time.
template <class Block>
static void level_products(const void* w, const void* x, int64_t count, int64_t k, float* y, int64_t n, Range rows,
                           char* scratch) {
  const int64_t blocks = k / Block::kLength, laid_out = (k + 255) / 256, half = (rows.end - rows.begin) / 2;
  auto* activation = reinterpret_cast<LevelActivation*>(scratch);
  for (int64_t i = 0; i < count; i += kFewRows) {
    const int64_t few = count - i < kFewRows ? count - i : kFewRows;
    for (int64_t c = 0; c < few; ++c) lay_out_levels(activation_row(x, i + c, k), k, activation + c * laid_out);
    const auto row = [&](int64_t r) {
      const Block* block = static_cast<const Block*>(w) + r * blocks;
      float* out = y + i * n + r;
      if (few == 1) level_row<Block, 1>(block, blocks, activation, laid_out, out, n);
      if (few == 2) level_row<Block, 2>(block, blocks, activation, laid_out, out, n);
      if (few == 3) level_row<Block, 3>(block, blocks, activation, laid_out, out, n);
      if (few == 4) level_row<Block, 4>(block, blocks, activation, laid_out, out, n);
    };
    for (int64_t r = rows.begin; r < rows.begin + half; ++r) {  // two streams fill the memory's queues
      row(r);
      row(r + half);
    }
    if ((rows.end - rows.begin) % 2) row(rows.end - 1);
  }
}

// Whether the type is one of these.
static inline bool level_dot_products(DType type, const void* w, const void* x, int64_t count, int64_t k, float* y,
                                      int64_t n, Range rows, char* scratch) {
  switch (type) {
#define MARGAY_CASE(type)                                             \
  case DType::type:                                                   \
    level_products<Block##type>(w, x, count, k, y, n, rows, scratch); \
    return true;
    MARGAY_LEVEL_TYPES(MARGAY_CASE)
#undef MARGAY_CASE
    default:
      return false;
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::linear
