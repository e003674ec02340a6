// The searches of the quantizers: which scales (and shifts) leave the least squared error. Sixteen groups are searched
// side by side, one in each lane, so no sum goes over lanes and every instruction set gets the same bits (compile with
// -ffp-contract=off). Arrays of groups are [element][kLanes]. C headers only.
#pragma once
#include "ops/quant/levels.h"
#include "ops/simd/vec.h"

namespace margay::simd {
inline namespace MARGAY_ISA {

constexpr int kLanes = 16;

MARGAY_INLINE F32 round_even(F32 v) {
  const float kRound = 12582912.f;  // 1.5 x 2^23: adding it rounds to an integer
  return (v + kRound) - kRound;
}
MARGAY_INLINE F32 clamp(F32 v, float low, float high) { return min(max(v, splat(low)), splat(high)); }  // NaN: low
MARGAY_INLINE F32 inverse(F32 v) { return v == zero() ? zero() : 1.f / v; }

// Levels at equal distances: nearest(v) is the level at v, index(v) its number from 0.
template <int kLow, int kHigh>
struct EvenLevels {
  static constexpr float kEnds[2] = {kLow, kHigh};
  static constexpr float kStep = 0.1f;  // between the searches' candidates for the level of the largest weight
  static constexpr int kSteps = 10;
  static MARGAY_MEMBER F32 nearest(F32 v) { return round_even(clamp(v, kLow, kHigh)); }
  static MARGAY_MEMBER F32 index(F32 v) { return nearest(v) - static_cast<float>(kLow); }
};

// IQ4's table.
struct CodeLevels {
  static constexpr float kEnds[2] = {kIq4Codes[0], kIq4Codes[15]};
  static constexpr float kStep = 2;
  static constexpr int kSteps = 7;
  template <class Of>
  static MARGAY_MEMBER F32 climb(F32 v, float first, const Of& step) {
    F32 result = splat(first);
    MARGAY_UNROLL
    for (int k = 0; k < 15; ++k)
      result = v > splat(0.5f * static_cast<float>(kIq4Codes[k] + kIq4Codes[k + 1])) ? result + step(k) : result;
    return result;
  }
  static MARGAY_MEMBER F32 nearest(F32 v) {
    return climb(v, kIq4Codes[0], [](int k) { return static_cast<float>(kIq4Codes[k + 1] - kIq4Codes[k]); });
  }
  static MARGAY_MEMBER F32 index(F32 v) {
    return climb(v, 0, [](int) { return 1.f; });
  }
};

// The scale under which scale * level is nearest to x, weighed by w. Candidates put the largest magnitude near either
// end of the levels; then levels and scale settle in turn.
template <class Levels, int N>
MARGAY_LOOP void fit_scale(const float* x, const float* w, float* scale) {
  for (int lane = 0; lane < kLanes; lane += kWidth) {
    F32 magnitude = zero(), extreme = zero();
    for (int i = 0; i < N; ++i) {
      const F32 v = load(x + kLanes * i + lane), size = max(v, zero() - v);
      extreme = size > magnitude ? v : extreme;
      magnitude = max(size, magnitude);
    }
    const F32 unit = inverse(extreme);
    F32 best = zero(), most = zero();
    const auto consider = [&](F32 factor) {
      F32 xq = zero(), qq = zero();
      for (int i = 0; i < N; ++i) {
        const F32 v = load(x + kLanes * i + lane), q = Levels::nearest(v * factor),
                  wq = load(w + kLanes * i + lane) * q;
        xq += wq * v;
        qq += wq * q;
      }
      // The best scale for these levels is xq / qq, and takes xq^2 / qq off the error.
      const F32 ratio = xq * inverse(qq), gain = xq * ratio;
      best = gain > most ? ratio : best;
      most = max(gain, most);
    };
    for (const float end : Levels::kEnds)
      for (int step = -Levels::kSteps; step <= Levels::kSteps; ++step)
        consider(unit * (end + Levels::kStep * static_cast<float>(step)));
    for (int round = 0; round < 3; ++round) consider(inverse(best));
    store(scale + lane, best);
  }
}

// Scale and shift with scale * level + shift nearest to x, levels 0 ... kHigh; the shift is at most 0 where
// kDownwards. Candidates let the levels span a little less or more than the range of x, from its low end or above it.
template <int kHigh, bool kDownwards, int N>
MARGAY_LOOP void fit_affine(const float* x, const float* w, float* scale, float* shift) {
  using Levels = EvenLevels<0, kHigh>;
  constexpr int kOffsets = kHigh <= 3 ? 4 : kHigh <= 15 ? 3 : 1;
  for (int lane = 0; lane < kLanes; lane += kWidth) {
    F32 low = load(x + lane), top = low, w0 = zero();
    for (int i = 0; i < N; ++i) {
      const F32 v = load(x + kLanes * i + lane);
      low = min(v, low), top = max(v, top);
      w0 += load(w + kLanes * i + lane);
    }
    if (kDownwards) low = min(low, zero()), top = max(top, low);
    // Sums are over y = x - low, whose squares do not cancel where x is far from 0.
    F32 wy = zero(), wyy = zero();
    for (int i = 0; i < N; ++i) {
      const F32 y = load(x + kLanes * i + lane) - low, v = load(w + kLanes * i + lane) * y;
      wy += v;
      wyy += v * y;
    }
    const F32 unit = inverse(top - low), highest = zero() - low;  // that the shift of y may be
    F32 best = zero(), best_shift = kDownwards ? min(wy * inverse(w0), highest) : wy * inverse(w0);
    F32 least = wyy - best_shift * (2.f * wy - best_shift * w0);
    const auto consider = [&](F32 factor, F32 from) {
      F32 wq = zero(), wqq = zero(), wyq = zero();
      for (int i = 0; i < N; ++i) {
        const F32 y = load(x + kLanes * i + lane) - low, q = Levels::nearest((y - from) * factor),
                  v = load(w + kLanes * i + lane) * q;
        wq += v;
        wqq += v * q;
        wyq += v * y;
      }
      const F32 determinant = w0 * wqq - wq * wq, whole = inverse(determinant);
      const auto solved = determinant > 1e-5f * w0 * wqq;  // else all levels are the same
      F32 a = (w0 * wyq - wq * wy) * whole, b = (wqq * wy - wq * wyq) * whole;
      if (kDownwards) {
        const F32 alone = (wyq - highest * wq) * inverse(wqq);
        b = solved ? min(b, highest) : highest;
        a = b == highest ? alone : a;
      }
      const F32 error = wyy - a * (2.f * wyq - a * wqq) - b * (2.f * wy - b * w0 - 2.f * a * wq);
      const auto better = kDownwards ? error < least : solved & (error < least);
      best = better ? a : best;
      best_shift = better ? b : best_shift;
      least = better ? error : least;
    };
    for (int offset = 0; offset < kOffsets; ++offset)
      for (int step = -10; step <= 10; ++step) {
        const float span = static_cast<float>(kHigh) + 0.1f * static_cast<float>(step);
        consider(unit * span, (top - low) * (0.25f * static_cast<float>(offset) / static_cast<float>(kHigh)));
      }
    for (int round = 0; round < 3; ++round) consider(inverse(best), best_shift);
    store(scale + lane, best);
    store(shift + lane, best_shift + low);
  }
}

// Of the integers within kReach of scale / d: the s under whose d * s the group's levels leave the least error.
template <class Levels, int kScaleLow, int kScaleHigh, int N>
MARGAY_LOOP void settle_scale(const float* x, const float* w, const float* d, const float* scale, float* s,
                              float* error) {
  constexpr int kReach = 1;
  for (int lane = 0; lane < kLanes; lane += kWidth) {
    const F32 unit = load(d + lane),
              middle = round_even(clamp(load(scale + lane) * inverse(unit), kScaleLow, kScaleHigh));
    F32 best = middle, least = splat(3e38f);
    for (int step = -kReach; step <= kReach; ++step) {
      const F32 integer = clamp(middle + static_cast<float>(step), kScaleLow, kScaleHigh), real = unit * integer,
                factor = inverse(real);
      F32 sum = zero();
      for (int i = 0; i < N; ++i) {
        const F32 v = load(x + kLanes * i + lane), difference = v - real * Levels::nearest(v * factor);
        sum += load(w + kLanes * i + lane) * difference * difference;
      }
      best = sum < least ? integer : best;
      least = min(sum, least);
    }
    store(s + lane, best);
    store(error + lane, least);
  }
}

// The same of d * s * level - m * t: integers s and t within kReach of scale / d and -shift / m.
template <int kHigh, int kTop, int N>
MARGAY_LOOP void settle_affine(const float* x, const float* w, const float* d, const float* m, const float* scale,
                               const float* shift, float* s, float* t, float* error) {
  constexpr int kReach = kTop <= 15 ? 2 : 1;
  using Levels = EvenLevels<0, kHigh>;
  for (int lane = 0; lane < kLanes; lane += kWidth) {
    const F32 unit = load(d + lane), unit_shift = load(m + lane);
    const F32 middle = round_even(clamp(load(scale + lane) * inverse(unit), 0, kTop));
    const F32 middle_shift = round_even(clamp(zero() - load(shift + lane) * inverse(unit_shift), 0, kTop));
    F32 best = middle, best_shift = middle_shift, least = splat(3e38f);
    for (int step = -kReach; step <= kReach; ++step)
      for (int shift_step = -kReach; shift_step <= kReach; ++shift_step) {
        const F32 integer = clamp(middle + static_cast<float>(step), 0, kTop),
                  integer_shift = clamp(middle_shift + static_cast<float>(shift_step), 0, kTop), real = unit * integer,
                  down = unit_shift * integer_shift, factor = inverse(real);
        F32 sum = zero();
        for (int i = 0; i < N; ++i) {
          const F32 v = load(x + kLanes * i + lane) + down, difference = v - real * Levels::nearest(v * factor);
          sum += load(w + kLanes * i + lane) * difference * difference;
        }
        best = sum < least ? integer : best;
        best_shift = sum < least ? integer_shift : best_shift;
        least = min(sum, least);
      }
    store(s + lane, best);
    store(t + lane, best_shift);
    store(error + lane, least);
  }
}

// What least squares needs to improve d (and m) under chosen levels: the weighed sums of each group over p = s * level,
// of p p, p x, p and x.
template <class Levels, int N>
MARGAY_LOOP void level_sums(const float* x, const float* w, const float* real, const float* down, const float* s,
                            float* pp, float* px, float* p, float* x1) {
  for (int lane = 0; lane < kLanes; lane += kWidth) {
    const F32 factor = inverse(load(real + lane)), shift = load(down + lane), integer = load(s + lane);
    F32 sums[4] = {zero(), zero(), zero(), zero()};
    for (int i = 0; i < N; ++i) {
      const F32 v = load(x + kLanes * i + lane), weight = load(w + kLanes * i + lane),
                product = integer * Levels::nearest((v + shift) * factor), weighed = weight * product;
      sums[0] += weighed * product;
      sums[1] += weighed * v;
      sums[2] += weighed;
      sums[3] += weight * v;
    }
    store(pp + lane, sums[0]), store(px + lane, sums[1]), store(p + lane, sums[2]), store(x1 + lane, sums[3]);
  }
}

// index[i] of the levels of x under scale and shift.
template <class Levels, int N>
MARGAY_LOOP void choose_levels(const float* x, const float* scale, const float* shift, int32_t* index) {
  for (int lane = 0; lane < kLanes; lane += kWidth) {
    const F32 factor = inverse(load(scale + lane)), offset = load(shift + lane);
    for (int i = 0; i < N; ++i) {
      const I32 v = __builtin_convertvector(Levels::index((load(x + kLanes * i + lane) - offset) * factor), I32);
      memcpy(index + kLanes * i + lane, &v, sizeof v);
    }
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
