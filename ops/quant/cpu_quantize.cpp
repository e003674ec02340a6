// The quantizers of all types of blocks: search.h's fits by groups, then integer scales under a super-block's halves.
#include "ops/quant/blocks.h"
#include "ops/quant/quantizer.h"
#include "ops/quant/search.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

using namespace simd;

template <class A, class B>
constexpr bool kSame = false;
template <class A>
constexpr bool kSame<A, A> = true;

template <class Block, Scheme>
struct LevelsOf {
  using Type = EvenLevels<Block::kLowest, Block::kHighest>;
};
template <class Block>
struct LevelsOf<Block, Scheme::kCodes> {
  using Type = CodeLevels;
};

// The half nearest to a scale; 0 for NaN.
float half_of(float scale, uint16_t* half) {
  *half = float_to_half(scale == scale ? scale : 0.f);
  return half_to_float(*half);
}

float quotient(float a, float b) { return b != 0 ? a / b : 0.f; }

// What no type of blocks tells from 0 becomes 0, what is beyond all of them stays so, and squares stay finite.
float held(float x) {
  const float size = x < 0 ? -x : x;
  if (!(size > 1e-15f)) return 0;
  return size < 1e15f ? x : x < 0 ? -1e15f : 1e15f;
}

// Quantizes as many blocks as have kLanes groups, one group a lane.
template <class Block>
struct Batch {
  static constexpr int N = Block::kGroup, kGroups = Block::kLength / N, kBlocks = kLanes / kGroups;
  static constexpr bool kAffine = Block::kScheme == Scheme::kAffine;
  using Levels = typename LevelsOf<Block, Block::kScheme>::Type;

  alignas(64) float x[N * kLanes], w[N * kLanes];  // [element][lane]
  alignas(64) float scale[kLanes], shift[kLanes];  // of each group, as fitted and then as the block has them
  alignas(64) int32_t index[N * kLanes];
  Parts<Block> parts[kBlocks];

  // The first `count` blocks from `from` on; the other lanes are zeros.
  MARGAY_MEMBER void read(const float* from, const float* importance, int count) {
    for (int lane = 0; lane < kLanes; ++lane)
      for (int i = 0; i < N; ++i) {
        const bool there = lane < count * kGroups;
        x[kLanes * i + lane] = there ? held(from[lane * N + i]) : 0.f;
        w[kLanes * i + lane] = there && importance ? importance[lane * N + i] + kLeastWeight : 1.f;
      }
  }

  MARGAY_MEMBER void write(Block* blocks, int count) {
    choose_levels<Levels, N>(x, scale, shift, index);
    for (int lane = 0; lane < count * kGroups; ++lane)
      for (int i = 0; i < N; ++i)
        parts[lane / kGroups].level[lane % kGroups * N + i] = static_cast<uint8_t>(index[kLanes * i + lane]);
    for (int b = 0; b < count; ++b) join_levels(parts[b], blocks + b);
  }

  static constexpr float kLeastWeight = 1e-3f;  // an input that was always 0 in the importance matrix still counts
};

// Types with a half (or two) for every group.
template <class Block>
MARGAY_INLINE void fit_groups(Batch<Block>& batch) {
  constexpr int N = Block::kGroup;
  if constexpr (Block::kScheme == Scheme::kAffine) {
    fit_affine<Block::kHighest, false, N>(batch.x, batch.w, batch.scale, batch.shift);
  } else {
    fit_scale<typename Batch<Block>::Levels, N>(batch.x, batch.w, batch.scale);
    memset(batch.shift, 0, sizeof batch.shift);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    batch.scale[lane] = half_of(batch.scale[lane], &batch.parts[lane].d);
    batch.shift[lane] = half_of(batch.shift[lane], &batch.parts[lane].m);
  }
}

// Q8_0, bit for bit ggml's: the largest magnitude at 127 and halves away from 0. A search gains next to nothing here.
MARGAY_INLINE void quantize_q8_0(Batch<BlockQ8_0>& batch, BlockQ8_0* blocks, int count) {
  for (int lane = 0; lane < kLanes; lane += kWidth) {
    F32 largest = zero();
    for (int i = 0; i < 32; ++i) {
      const F32 v = load(batch.x + kLanes * i + lane);
      largest = max(max(v, zero() - v), largest);
    }
    const F32 d = largest / 127.f, factor = inverse(d);
    store(batch.scale + lane, d);
    for (int i = 0; i < 32; ++i) {
      const F32 v = clamp(load(batch.x + kLanes * i + lane) * factor, -127, 127), even = round_even(v),
                up = ((v > zero()) & (v - even == splat(0.5f))) ? splat(1) : zero(),
                down = ((v < zero()) & (v - even == splat(-0.5f))) ? splat(1) : zero();
      const I32 q = __builtin_convertvector(even + up - down + 128.f, I32);
      memcpy(batch.index + kLanes * i + lane, &q, sizeof q);
    }
  }
  for (int b = 0; b < count; ++b) {
    half_of(batch.scale[b], &batch.parts[b].d);
    for (int i = 0; i < 32; ++i) batch.parts[b].level[i] = static_cast<uint8_t>(batch.index[kLanes * i + b]);
    join_levels(batch.parts[b], blocks + b);
  }
}

// Integer scales under one half for 256 weights. The best of some halves, each with the best integers near the fits;
// then half and integers settle in turn.
template <class Block>
struct SuperBlocks {
  using B = Batch<Block>;
  static constexpr int N = B::N, kGroups = B::kGroups, kBlocks = B::kBlocks;
  static constexpr int kLow = Block::kScaleLow, kHigh = Block::kScaleHigh;

  explicit MARGAY_MEMBER SuperBlocks(B& of) : batch(of) {
    for (float& value : least) value = -1;
  }

  // Takes a half (two) for each block where it (they) and the integers near target / half leave less error than what is
  // there.
  MARGAY_MEMBER void consider(const float* d_of, const float* m_of, const float* target, const float* target_shift) {
    alignas(64) float d[kLanes], m[kLanes], s[kLanes], t[kLanes] = {}, error[kLanes];
    uint16_t half[kBlocks], half_m[kBlocks];
    for (int b = 0; b < kBlocks; ++b) {
      const float real = half_of(d_of[b], half + b), real_m = half_of(m_of[b], half_m + b);
      for (int g = b * kGroups; g < (b + 1) * kGroups; ++g) d[g] = real, m[g] = real_m;
    }
    if constexpr (B::kAffine)
      settle_affine<Block::kHighest, kHigh, N>(batch.x, batch.w, d, m, target, target_shift, s, t, error);
    else settle_scale<typename B::Levels, kLow, kHigh, N>(batch.x, batch.w, d, target, s, error);
    for (int b = 0; b < kBlocks; ++b) {
      float sum = 0;
      for (int g = b * kGroups; g < (b + 1) * kGroups; ++g) sum += error[g];
      if (least[b] >= 0 && !(sum < least[b])) continue;
      // A half that is infinite stays: the weights are too large for the type, and that must be seen.
      const int first = b * kGroups;
      least[b] = d[first] - d[first] + m[first] - m[first] == 0 ? sum : 0;
      batch.parts[b].d = half[b], batch.parts[b].m = half_m[b];
      for (int g = b * kGroups; g < (b + 1) * kGroups; ++g) {
        integer[g] = s[g], integer_shift[g] = t[g];
        real[g] = d[g] * s[g], real_shift[g] = m[g] * t[g];
      }
    }
  }

  // The halves that least squares finds for the integers and levels that are there.
  MARGAY_MEMBER void improve() {
    alignas(64) float pp[kLanes], px[kLanes], p[kLanes], x1[kLanes], target[kLanes], target_shift[kLanes];
    level_sums<typename B::Levels, N>(batch.x, batch.w, real, real_shift, integer, pp, px, p, x1);
    float d[kBlocks], m[kBlocks];
    for (int b = 0; b < kBlocks; ++b) {
      float PP = 0, PX = 0, PT = 0, TT = 0, XT = 0;  // p = s * level, t: weight is near d * p - m * t
      for (int g = b * kGroups; g < (b + 1) * kGroups; ++g) {
        float weight = 0;
        if (B::kAffine)
          for (int i = 0; i < N; ++i) weight += batch.w[kLanes * i + g];
        PP += pp[g], PX += px[g], PT += p[g] * integer_shift[g], TT += weight * integer_shift[g] * integer_shift[g];
        XT += x1[g] * integer_shift[g];
      }
      const float determinant = PP * TT - PT * PT;
      if (determinant > 1e-6f * PP * TT) {
        d[b] = (PX * TT - PT * XT) / determinant, m[b] = (PT * PX - PP * XT) / determinant;
        if (m[b] < 0) d[b] = quotient(PX, PP), m[b] = 0;
      } else {
        m[b] = half_to_float(batch.parts[b].m), d[b] = quotient(PX + m[b] * PT, PP);
      }
      for (int g = b * kGroups; g < (b + 1) * kGroups; ++g)
        target[g] = d[b] * integer[g], target_shift[g] = -m[b] * integer_shift[g];
    }
    consider(d, m, target, target_shift);
  }

  MARGAY_MEMBER void fit() {
    float widest[kBlocks] = {}, deepest[kBlocks] = {};  // the scale of largest magnitude, the lowest shift
    if constexpr (B::kAffine) simd::fit_affine<Block::kHighest, true, N>(batch.x, batch.w, batch.scale, batch.shift);
    else fit_scale<typename B::Levels, N>(batch.x, batch.w, batch.scale);
    for (int g = 0; g < kLanes; ++g) {
      float& most = widest[g / kGroups];
      if (batch.scale[g] * batch.scale[g] > most * most) most = batch.scale[g];
      if (B::kAffine && batch.shift[g] < deepest[g / kGroups]) deepest[g / kGroups] = batch.shift[g];
    }
    // They go to an end of the integers' range, or to the one before it.
    for (int c = 0; c < 4; ++c) {
      const int end = B::kAffine ? kHigh - c % 2 : c < 2 ? kLow + c : kHigh - (c - 2), shift_end = kHigh - c / 2;
      float d[kBlocks], m[kBlocks];
      for (int b = 0; b < kBlocks; ++b) {
        d[b] = widest[b] / static_cast<float>(end);
        m[b] = -deepest[b] / static_cast<float>(shift_end);
      }
      consider(d, m, batch.scale, batch.shift);
    }
    for (int round = 0; round < 3; ++round) improve();
    for (int g = 0; g < kLanes; ++g) {
      batch.scale[g] = real[g], batch.shift[g] = -real_shift[g];
      batch.parts[g / kGroups].scale[g % kGroups] = static_cast<int8_t>(integer[g]);
      batch.parts[g / kGroups].shift[g % kGroups] = static_cast<int8_t>(integer_shift[g]);
    }
  }

  B& batch;
  float least[kBlocks];  // error of what is there; -1: nothing yet
  alignas(64) float integer[kLanes] = {}, integer_shift[kLanes] = {}, real[kLanes] = {}, real_shift[kLanes] = {};
};

template <class Block>
void quantize(const float* x, const float* importance, void* blocks, int64_t n) {
  Batch<Block> batch;
  constexpr int kBlocks = Batch<Block>::kBlocks;
  const int64_t all = n / Block::kLength;
  for (int64_t begin = 0; begin < all; begin += kBlocks) {
    const int count = static_cast<int>(all - begin < kBlocks ? all - begin : kBlocks);
    Block* out = static_cast<Block*>(blocks) + begin;
    batch.read(x + begin * Block::kLength, importance ? importance + begin * Block::kLength : nullptr, count);
    if constexpr (kSame<Block, BlockQ8_0>) {
      quantize_q8_0(batch, out, count);
      continue;
    } else if constexpr (Batch<Block>::kGroups == 1) {
      fit_groups(batch);
    } else {
      SuperBlocks<Block>(batch).fit();
    }
    batch.write(out, count);
  }
}

}  // namespace

Quantizer find_quantizer(DType type);
Quantizer find_quantizer(DType type) {
  switch (type) {
#define MARGAY_CASE(name) \
  case DType::name:       \
    return quantize<Block##name>;
    MARGAY_BLOCK_TYPES(MARGAY_CASE)
#undef MARGAY_CASE
    default:
      return nullptr;
  }
}

}  // namespace margay::cpu::MARGAY_ISA
