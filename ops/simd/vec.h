// A float32 vector of the widest registers of the instruction set that this file is compiled for, on the compilers'
// vector extensions: + - * / and comparisons are the language's own, a * b + c becomes an fma where there is one.
// Everything is internal to MARGAY_ISA's namespace. C headers only.
#pragma once
#include <stdint.h>
#include <string.h>

#ifndef MARGAY_ISA
#error "ops/simd is for kernels: compile with -DMARGAY_ISA=..."
#endif

#define MARGAY_INLINE static inline __attribute__((always_inline))
// Before a loop of few, constant rounds, so that arrays indexed by it become registers.
#if defined(__clang__)
#define MARGAY_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MARGAY_UNROLL _Pragma("GCC unroll 16")
#endif
// A loop of its own: inlined into one another, the loops of many types would share one set of registers.
#define MARGAY_LOOP static __attribute__((noinline))
// The same for member functions.
#define MARGAY_MEMBER inline __attribute__((always_inline))

// The instruction set "generic" is plain C++ for any processor, on AArch64 too.
#if defined(__aarch64__) && !defined(MARGAY_ISA_generic)
#define MARGAY_NEON
#if defined(__ARM_FEATURE_DOTPROD)
#define MARGAY_NEON_DOT
#endif
#if defined(__ARM_FEATURE_MATMUL_INT8)
#define MARGAY_NEON_I8MM
#endif
#endif

namespace margay::simd {
inline namespace MARGAY_ISA {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

typedef float F32 __attribute__((vector_size(kWidth * 4)));
typedef int32_t I32 __attribute__((vector_size(kWidth * 4)));

MARGAY_INLINE F32 load(const float* p) {
  F32 v;
  memcpy(&v, p, sizeof v);
  return v;
}
MARGAY_INLINE void store(float* p, F32 v) { memcpy(p, &v, sizeof v); }
MARGAY_INLINE F32 splat(float x) { return x - F32{}; }
MARGAY_INLINE F32 zero() { return F32{}; }
MARGAY_INLINE F32 max(F32 a, F32 b) { return a > b ? a : b; }
MARGAY_INLINE F32 min(F32 a, F32 b) { return a < b ? a : b; }

// The first n < kWidth lanes; the others are `fill`. Stores touch n floats only.
MARGAY_INLINE F32 load_part(const float* p, int n, float fill = 0) {
  F32 v = splat(fill);
  memcpy(&v, p, static_cast<size_t>(n) * 4);
  return v;
}
MARGAY_INLINE void store_part(float* p, F32 v, int n) { memcpy(p, &v, static_cast<size_t>(n) * 4); }

// Sums and maxima over lanes, in a fixed order: halves first.
MARGAY_INLINE F32 swap_halves(F32 v, int half) {
#if defined(__AVX512F__)
  if (half == 8) return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  if (half == 4) return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  if (half == 2) return __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
#elif defined(__AVX__)
  if (half == 4) return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
  if (half == 2) return __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
  return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
#else
  if (half == 2) return __builtin_shufflevector(v, v, 2, 3, 0, 1);
  return __builtin_shufflevector(v, v, 1, 0, 3, 2);
#endif
}
MARGAY_INLINE float sum(F32 v) {
#pragma GCC unroll 4
  for (int half = kWidth / 2; half > 0; half /= 2) v = v + swap_halves(v, half);
  return v[0];
}
MARGAY_INLINE float max_lane(F32 v) {
#pragma GCC unroll 4
  for (int half = kWidth / 2; half > 0; half /= 2) v = max(v, swap_halves(v, half));
  return v[0];
}

// Lanes of a and b in turn: (a0, b0, a1, b1, ...), the first and the second half of them.
MARGAY_INLINE F32 interleave_low(F32 a, F32 b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif defined(__AVX__)
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#endif
}
MARGAY_INLINE F32 interleave_high(F32 a, F32 b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif defined(__AVX__)
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

// kWidth rows of kWidth lanes, transposed: each round of perfect shuffles moves one bit of the row number into the
// lane's.
MARGAY_INLINE void transpose_square(F32 (&row)[kWidth]) {
#pragma GCC unroll 4
  for (int round = 1; round < kWidth; round *= 2) {
    F32 next[kWidth];
#pragma GCC unroll 8
    for (int i = 0; i < kWidth / 2; ++i) {
      next[2 * i] = interleave_low(row[i], row[i + kWidth / 2]);
      next[2 * i + 1] = interleave_high(row[i], row[i + kWidth / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) row[i] = next[i];
  }
}

// e^x to about 1e-7 relative; 0 below -87.3, 2^127.. above 88.3 (never infinity or NaN for finite x).
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor series to degree 7; 2^n by the exponent's bits.
MARGAY_INLINE F32 exp(F32 x) {
  const F32 clamped = max(min(x, splat(88.3f)), splat(-87.3f));
  const float kRound = 12582912.f;  // 1.5 x 2^23: adding it rounds to an integer
  const F32 n = (clamped * 1.44269504f + kRound) - kRound;
  const F32 r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  F32 p = splat(1.f / 5040) * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  const I32 bits = (__builtin_convertvector(n, I32) + 127) << 23;
  F32 power;
  memcpy(&power, &bits, sizeof power);
  const F32 result = p * power;
  return x < splat(-87.3f) ? zero() : result;
}

// sum of a[i] * b[i], n any; four accumulators, fixed order.
MARGAY_INLINE float dot(const float* a, const float* b, int64_t n) {
  F32 s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    s0 += load(a + i) * load(b + i);
    s1 += load(a + i + kWidth) * load(b + i + kWidth);
    s2 += load(a + i + 2 * kWidth) * load(b + i + 2 * kWidth);
    s3 += load(a + i + 3 * kWidth) * load(b + i + 3 * kWidth);
  }
  for (; i + kWidth <= n; i += kWidth) s0 += load(a + i) * load(b + i);
  if (i < n) s1 += load_part(a + i, static_cast<int>(n - i)) * load_part(b + i, static_cast<int>(n - i));
  return sum((s0 + s1) + (s2 + s3));
}

// y += factor * x
MARGAY_INLINE void add_scaled(float* y, const float* x, float factor, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load(y + i) + load(x + i) * factor);
  for (; i < n; ++i) y[i] += x[i] * factor;
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
