// Byte vectors for the int8 kernels: conversions of 16-bit floats, and sums of four byte products in each 32-bit lane
// by whatever the instruction set has (vpdpbusd, vpmaddubsw + vpmaddwd, sdot, smull, or 16-bit products of the vector
// extensions). A
// lane is 32 bits, a register has kWidth of them. C headers only.
#pragma once
#if defined(__x86_64__)
#if !defined(__clang__)  // g++ 12 finds its own _mm512_undefined_ps() uninitialized
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#include <math.h>

#include "base/half.h"
#include "ops/simd/vec.h"

namespace margay::simd {
inline namespace MARGAY_ISA {

// Nearest even, the same on every instruction set; NaN becomes the smallest integer.
MARGAY_INLINE I32 round_to_int(F32 x) {
#if defined(__AVX512F__)
  return (I32)_mm512_cvtps_epi32((__m512)x);
#elif defined(__AVX2__)
  return (I32)_mm256_cvtps_epi32((__m256)x);
#elif defined(MARGAY_NEON)
  return x == x ? (I32)vcvtnq_s32_f32((float32x4_t)x) : INT32_MIN - I32{};
#else
  I32 result;
  for (int i = 0; i < kWidth; ++i) result[i] = x[i] == x[i] ? static_cast<int32_t>(rintf(x[i])) : INT32_MIN;
  return result;
#endif
}

// The lanes as signed bytes, saturated.
MARGAY_INLINE void store_saturated(int8_t* p, I32 v) {
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8((__m512i)v));
#elif defined(__AVX2__)
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
#elif defined(MARGAY_NEON)
  const int16x4_t words = vqmovn_s32((int32x4_t)v);
  const int32_t bytes = vget_lane_s32(vreinterpret_s32_s8(vqmovn_s16(vcombine_s16(words, words))), 0);
  memcpy(p, &bytes, sizeof bytes);
#else
  for (int i = 0; i < kWidth; ++i) p[i] = static_cast<int8_t>(v[i] > 127 ? 127 : v[i] < -128 ? -128 : v[i]);
#endif
}

// kWidth 16-bit floats to float32.
MARGAY_INLINE F32 load_half(const void* p) {
#if defined(__AVX512F__)
  return (F32)_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
#elif defined(__F16C__)
  return (F32)_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
#elif defined(MARGAY_NEON)
  return (F32)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(static_cast<const uint16_t*>(p))));
#else
  F32 result;
  uint16_t h[kWidth];
  memcpy(h, p, sizeof h);
  for (int i = 0; i < kWidth; ++i) result[i] = half_to_float(h[i]);
  return result;
#endif
}

MARGAY_INLINE F32 load_bf16(const void* p) {
#if defined(__AVX512F__)
  return (F32)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p))), 16);
#elif defined(__AVX2__)
  return (F32)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))), 16);
#elif defined(MARGAY_NEON)
  return (F32)vshlq_n_u32(vmovl_u16(vld1_u16(static_cast<const uint16_t*>(p))), 16);
#else
  F32 result;
  uint16_t h[kWidth];
  memcpy(h, p, sizeof h);
  for (int i = 0; i < kWidth; ++i) result[i] = bf16_to_float(h[i]);
  return result;
#endif
}

// kWidth signed bytes to float32.
MARGAY_INLINE F32 load_int8(const void* p) {
#if defined(MARGAY_NEON)
  int32_t bytes;
  memcpy(&bytes, p, sizeof bytes);
  return (F32)vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(bytes))))));
#else
  typedef int8_t I8 __attribute__((vector_size(kWidth)));
  I8 q;
  memcpy(&q, p, sizeof q);
  return __builtin_convertvector(__builtin_convertvector(q, I32), F32);
#endif
}

// asm, because g++ drops functions that only prefetch. May point past the end of memory.
MARGAY_INLINE void prefetch(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetcht0 %0" ::"m"(*static_cast<const char*>(p)));
#elif defined(__aarch64__)
  asm volatile("prfm pldl1keep, %0" ::"Q"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p);
#endif
}
MARGAY_INLINE void prefetch_far(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetcht1 %0" ::"m"(*static_cast<const char*>(p)));
#elif defined(__aarch64__)
  asm volatile("prfm pldl2keep, %0" ::"Q"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p, 0, 2);
#endif
}

// For a row of weights that is read from begin to end: far into L2, near into L1, because the hardware prefetcher stops
// at 4 KiB borders.
MARGAY_INLINE void prefetch_stream(const void* p, int bytes) {
  const char* c = static_cast<const char*>(p);
  for (int i = 0; i < bytes; i += 64) {
    prefetch_far(c + i + 4608);
    prefetch(c + i + 768);
  }
}

// A register of bytes, and the same register as 16- or 32-bit lanes: cast from one to the other; & | ^ + << >> are the
// language's own.
typedef uint8_t Bytes __attribute__((vector_size(kWidth * 4)));
typedef uint16_t Words __attribute__((vector_size(kWidth * 4)));
typedef int16_t SignedWords __attribute__((vector_size(kWidth * 4)));
typedef uint32_t Dwords __attribute__((vector_size(kWidth * 4)));

MARGAY_INLINE Bytes load_bytes(const void* p) {
  Bytes v;
  memcpy(&v, p, sizeof v);
  return v;
}
MARGAY_INLINE void store_bytes(void* p, Bytes v) { memcpy(p, &v, sizeof v); }
MARGAY_INLINE Bytes splat_byte(int x) { return static_cast<uint8_t>(x) - Bytes{}; }
MARGAY_INLINE Bytes splat_dword(int32_t x) { return (Bytes)(x - I32{}); }
MARGAY_INLINE Bytes low_nibbles(Bytes v) { return v & 15; }
MARGAY_INLINE Bytes high_nibbles(Bytes v) { return (Bytes)((Words)v >> 4) & 15; }
MARGAY_INLINE Bytes flip_sign_bits(Bytes v) { return v ^ 128; }
MARGAY_INLINE F32 to_float(Bytes dwords) { return __builtin_convertvector((I32)dwords, F32); }

// Each byte moves up (or down, where n < 0) by n bits; bits of its neighbour come in and must be masked.
MARGAY_INLINE Bytes move_bits(Bytes v, int n) { return n >= 0 ? (Bytes)((Words)v << n) : (Bytes)((Words)v >> -n); }

// Byte i of each 32-bit lane.
MARGAY_INLINE F32 byte_of_lanes(Dwords v, int i) { return __builtin_convertvector((I32)(v >> 8 * i & 255), F32); }
MARGAY_INLINE F32 signed_byte_of_lanes(Dwords v, int i) {
  return __builtin_convertvector((I32)(v << (24 - 8 * i)) >> 24, F32);
}

// The low 16 bits of each lane, a half, as float32.
MARGAY_INLINE F32 low_half_of_lanes(Dwords v) {
#if defined(__AVX512F__)
  return (F32)_mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)v));
#elif defined(__F16C__) && defined(__AVX2__)
  const __m256i low = (__m256i)(v & 0xffff);
  return (F32)_mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
#elif defined(MARGAY_NEON)
  return (F32)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)v)));
#else
  F32 result;
  for (int i = 0; i < kWidth; ++i) result[i] = half_to_float(static_cast<uint16_t>(v[i]));
  return result;
#endif
}

// table[index] for indices in [0, 16).
MARGAY_INLINE Bytes look_up(const int8_t (&table)[16], Bytes index) {
#if defined(__AVX512BW__)
  const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return (Bytes)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), (__m512i)index);
#elif defined(__AVX2__)
  const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return (Bytes)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), (__m256i)index);
#elif defined(MARGAY_NEON)
  return (Bytes)vqtbl1q_s8(vld1q_s8(table), (uint8x16_t)index);
#else
  Bytes result;
  for (int i = 0; i < 4 * kWidth; ++i) result[i] = static_cast<uint8_t>(table[index[i]]);
  return result;
#endif
}

// Sums of two products of adjacent bytes, u unsigned and s signed, in 16 bits: |u| <= 127 or they saturate. Such sums can
// be added up before add_pairs() brings them to the 32-bit lanes.
#if defined(MARGAY_NEON)
struct PairSums {
  int16x8_t low, high;  // of the lower and the upper half of the lanes, not yet added in pairs
};
MARGAY_INLINE PairSums pair_products(Bytes u, Bytes s) {
  const int8x16_t a = (int8x16_t)u, b = (int8x16_t)s;
  return {vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b)};
}
MARGAY_INLINE PairSums add_pair_products(PairSums sum, Bytes u, Bytes s) {
  const int8x16_t a = (int8x16_t)u, b = (int8x16_t)s;
  return {vmlal_s8(sum.low, vget_low_s8(a), vget_low_s8(b)), vmlal_high_s8(sum.high, a, b)};
}
#else
typedef SignedWords PairSums;
MARGAY_INLINE PairSums pair_products(Bytes u, Bytes s) {
#if defined(__AVX512BW__)
  return (SignedWords)_mm512_maddubs_epi16((__m512i)u, (__m512i)s);
#elif defined(__AVX2__)
  return (SignedWords)_mm256_maddubs_epi16((__m256i)u, (__m256i)s);
#else
  const SignedWords even = (SignedWords)((Words)s << 8) >> 8, odd = (SignedWords)s >> 8;
  return (SignedWords)((Words)u & 255) * even + (SignedWords)((Words)u >> 8) * odd;
#endif
}
MARGAY_INLINE PairSums add_pair_products(PairSums sum, Bytes u, Bytes s) { return sum + pair_products(u, s); }
#endif

// Sums of two products of adjacent 16-bit lanes.
MARGAY_INLINE I32 word_products(SignedWords a, SignedWords b) {
#if defined(__AVX512BW__)
  return (I32)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (I32)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
  const I32 x = (I32)a, y = (I32)b;
  return (x << 16 >> 16) * (y << 16 >> 16) + (x >> 16) * (y >> 16);
#endif
}
MARGAY_INLINE I32 add_pairs(I32 sum, PairSums v) {
#if defined(MARGAY_NEON)
  return (I32)vpadalq_s16((int32x4_t)sum, vpaddq_s16(v.low, v.high));
#else
  return sum + word_products(v, 1 - SignedWords{});
#endif
}

// Four bytes of activations for all lanes, the unit-th from p on. NEON's dot products take them from the register where
// they are; the 16 bytes of four units are always there.
#if defined(MARGAY_NEON_DOT)
struct Spread {
  int8x16_t units;
  int unit;
};
MARGAY_INLINE Spread spread(const char* p, int unit) { return {(int8x16_t)load_bytes(p + unit / 4 * 16), unit % 4}; }
#else
typedef Bytes Spread;
MARGAY_INLINE Spread spread(const char* p, int unit) {
  int32_t v;
  memcpy(&v, p + 4 * unit, sizeof v);
  return splat_dword(v);
}
#endif

// Whether four products of unsigned and signed bytes can be added to a 32-bit lane at once, and whether bytes with a
// sign must have it flipped for that.
#if defined(__AVX512VNNI__)
constexpr bool kByteDot = true, kFlipSigned = true;
MARGAY_INLINE I32 byte_dot(I32 sum, Bytes u, Spread s) {
  return (I32)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)u, (__m512i)s);
}
#elif defined(MARGAY_NEON_DOT)
constexpr bool kByteDot = true, kFlipSigned = false;
// u at most 127: below that unsigned and signed are the same.
MARGAY_INLINE I32 byte_dot(I32 sum, Bytes u, Spread s) {
  const int32x4_t to = (int32x4_t)sum;
  const int8x16_t w = (int8x16_t)u;
  switch (s.unit) {  // known when this is compiled
    case 0:
      return (I32)vdotq_laneq_s32(to, w, s.units, 0);
    case 1:
      return (I32)vdotq_laneq_s32(to, w, s.units, 1);
    case 2:
      return (I32)vdotq_laneq_s32(to, w, s.units, 2);
    default:
      return (I32)vdotq_laneq_s32(to, w, s.units, 3);
  }
}
#else
constexpr bool kByteDot = false, kFlipSigned = false;
// u at most 128 (127 on NEON).
MARGAY_INLINE I32 byte_dot(I32 sum, Bytes u, Spread s) { return add_pairs(sum, pair_products(u, s)); }
#endif

// As many products at once as the kernels take, for measuring the peak: sum += kMostProducts of them.
#if defined(MARGAY_NEON_I8MM)
constexpr int kMostProducts = 8 * kWidth;
MARGAY_INLINE I32 most_products(I32 sum, Bytes u, Bytes s) {
  return (I32)vmmlaq_s32((int32x4_t)sum, (int8x16_t)u, (int8x16_t)s);
}
#else
constexpr int kMostProducts = 4 * kWidth;
MARGAY_INLINE I32 most_products(I32 sum, Bytes u, Bytes s) {
#if defined(MARGAY_NEON_DOT)
  return byte_dot(sum, u, Spread{(int8x16_t)s, 0});
#else
  return byte_dot(sum, u, s);
#endif
}
#endif

// sum += the four products of signed bytes w and x (above -128) in each lane. Where signs are flipped w comes as
// w + 128, and the sum ends up 128 times the sum of x too large.
MARGAY_INLINE I32 signed_byte_dot(I32 sum, Bytes w, Spread x) {
#if defined(__AVX512VNNI__) || defined(MARGAY_NEON)
  return byte_dot(sum, w, x);
#elif defined(__AVX512BW__)
  const __m512i signed_x =
      _mm512_mask_sub_epi8((__m512i)x, _mm512_movepi8_mask((__m512i)w), _mm512_setzero_si512(), (__m512i)x);
  return byte_dot(sum, (Bytes)_mm512_abs_epi8((__m512i)w), (Bytes)signed_x);
#elif defined(__AVX2__)
  return byte_dot(sum, (Bytes)_mm256_abs_epi8((__m256i)w), (Bytes)_mm256_sign_epi8((__m256i)x, (__m256i)w));
#else
  const SignedWords w_even = (SignedWords)((Words)w << 8) >> 8, w_odd = (SignedWords)w >> 8;
  const SignedWords x_even = (SignedWords)((Words)x << 8) >> 8, x_odd = (SignedWords)x >> 8;
  return add_pairs(sum, w_even * x_even + w_odd * x_odd);
#endif
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
