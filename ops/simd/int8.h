// Byte vectors for the int8 kernels: conversions of 16-bit floats, and sums of four byte products in each 32-bit lane
// by whatever the instruction set has (vpdpbusd, or vpmaddubsw + vpmaddwd). A lane is 32 bits, a register has kWidth of
// them. C headers only.
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
#include <math.h>

#include "base/half.h"
#include "ops/simd/vec.h"

// With it there are byte registers and their products; without it int8 kernels are plain loops.
#if defined(__AVX2__)
#define MARGAY_INT8
#endif

namespace margay::simd {
inline namespace MARGAY_ISA {

// Nearest even, the same on every instruction set.
MARGAY_INLINE I32 round_to_int(F32 x) {
#if defined(__AVX512F__)
  return (I32)_mm512_cvtps_epi32((__m512)x);
#elif defined(__AVX2__)
  return (I32)_mm256_cvtps_epi32((__m256)x);
#else
  I32 result;
  for (int i = 0; i < kWidth; ++i) result[i] = static_cast<int32_t>(rintf(x[i]));
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
  typedef int8_t I8 __attribute__((vector_size(kWidth)));
  I8 q;
  memcpy(&q, p, sizeof q);
  return __builtin_convertvector(__builtin_convertvector(q, I32), F32);
}

// Kernels call this often enough for it to matter how far it reaches: far into L2, near into L1, because the hardware
// prefetcher stops at 4 KiB borders. asm, because g++ drops functions that only prefetch. May point past the end of
// memory.
MARGAY_INLINE void prefetch_stream(const void* p, int bytes) {
  const char* c = static_cast<const char*>(p);
#if defined(__x86_64__)
  for (int i = 0; i < bytes; i += 64) {
    asm volatile("prefetcht1 %0" ::"m"(c[i + 4608]));
    asm volatile("prefetcht0 %0" ::"m"(c[i + 768]));
  }
#else
  for (int i = 0; i < bytes; i += 64) __builtin_prefetch(c + i + 768);
#endif
}

#if defined(__AVX512F__)
typedef __m512i Bytes;
MARGAY_INLINE Bytes load_bytes(const void* p) { return _mm512_loadu_si512(p); }
// The first n bytes, n in [0, 64]; the others are zero and not touched.
MARGAY_INLINE Bytes load_bytes_part(const void* p, int n) {
  return _mm512_maskz_loadu_epi8(n >= 64 ? ~0ull : (1ull << n) - 1, p);
}
MARGAY_INLINE void store_bytes(void* p, Bytes v) { _mm512_storeu_si512(p, v); }
MARGAY_INLINE Bytes splat_byte(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
MARGAY_INLINE Bytes splat_dword(int32_t x) { return _mm512_set1_epi32(x); }
MARGAY_INLINE Bytes low_nibbles(Bytes v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
MARGAY_INLINE Bytes high_nibbles(Bytes v) { return low_nibbles(_mm512_srli_epi16(v, 4)); }
MARGAY_INLINE Bytes flip_sign_bits(Bytes v) { return _mm512_xor_si512(v, _mm512_set1_epi8(-128)); }
MARGAY_INLINE Bytes add_dwords(Bytes a, Bytes b) { return _mm512_add_epi32(a, b); }
MARGAY_INLINE Bytes add_words(Bytes a, Bytes b) { return _mm512_add_epi16(a, b); }
MARGAY_INLINE Bytes pair_products(Bytes u, Bytes s) { return _mm512_maddubs_epi16(u, s); }
MARGAY_INLINE Bytes sum_pairs(Bytes words) { return _mm512_madd_epi16(words, _mm512_set1_epi16(1)); }
MARGAY_INLINE Bytes magnitude(Bytes v) { return _mm512_abs_epi8(v); }
MARGAY_INLINE Bytes with_sign_of(Bytes x, Bytes w) {
  return _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
}
MARGAY_INLINE F32 to_float(Bytes dwords) { return (F32)_mm512_cvtepi32_ps(dwords); }
#elif defined(__AVX2__)
typedef __m256i Bytes;
MARGAY_INLINE Bytes load_bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
MARGAY_INLINE Bytes load_bytes_part(const void* p, int n) {
  char bytes[32] = {};
  memcpy(bytes, p, static_cast<size_t>(n < 32 ? n : 32));
  return load_bytes(bytes);
}
MARGAY_INLINE void store_bytes(void* p, Bytes v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
MARGAY_INLINE Bytes splat_byte(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
MARGAY_INLINE Bytes splat_dword(int32_t x) { return _mm256_set1_epi32(x); }
MARGAY_INLINE Bytes low_nibbles(Bytes v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
MARGAY_INLINE Bytes high_nibbles(Bytes v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }
MARGAY_INLINE Bytes flip_sign_bits(Bytes v) { return _mm256_xor_si256(v, _mm256_set1_epi8(-128)); }
MARGAY_INLINE Bytes add_dwords(Bytes a, Bytes b) { return _mm256_add_epi32(a, b); }
MARGAY_INLINE Bytes add_words(Bytes a, Bytes b) { return _mm256_add_epi16(a, b); }
MARGAY_INLINE Bytes pair_products(Bytes u, Bytes s) { return _mm256_maddubs_epi16(u, s); }
MARGAY_INLINE Bytes sum_pairs(Bytes words) { return _mm256_madd_epi16(words, _mm256_set1_epi16(1)); }
MARGAY_INLINE Bytes magnitude(Bytes v) { return _mm256_abs_epi8(v); }
MARGAY_INLINE Bytes with_sign_of(Bytes x, Bytes w) { return _mm256_sign_epi8(x, w); }
MARGAY_INLINE F32 to_float(Bytes dwords) { return (F32)_mm256_cvtepi32_ps(dwords); }
#endif

#if defined(MARGAY_INT8)
// sum += the four products of unsigned u (4-bit weights, 0..15) and signed s in each lane.
MARGAY_INLINE Bytes dot_nibbles(Bytes sum, Bytes u, Bytes s) {
#if defined(__AVX512VNNI__)
  return _mm512_dpbusd_epi32(sum, u, s);
#else
  return add_dwords(sum, sum_pairs(pair_products(u, s)));
#endif
}

// How signed 8-bit weights w multiply: with vpdpbusd as w + 128 and an offset; without it |w| times x with w's sign,
// since 255 * 127 * 2 would saturate vpmaddubsw.
#if defined(__AVX512VNNI__)
constexpr bool kShiftedBytes = true;
MARGAY_INLINE Bytes dot_bytes(Bytes sum, Bytes w, Bytes x) { return _mm512_dpbusd_epi32(sum, w, x); }
#else
constexpr bool kShiftedBytes = false;
MARGAY_INLINE Bytes dot_bytes(Bytes sum, Bytes w, Bytes x) {
  return add_dwords(sum, sum_pairs(pair_products(magnitude(w), with_sign_of(x, w))));
}
#endif

// 16 bytes of each of kWidth rows -> 4 registers: lane r of out[i] is bytes 4i..4i+3 of row r.
MARGAY_INLINE void transpose_dwords(const uint8_t* const* row, int64_t offset, Bytes* out) {
#if defined(__AVX512F__)
  Bytes a[4];
  for (int i = 0; i < 4; ++i) {
    const auto part = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row[r] + offset)); };
    a[i] = _mm512_castsi128_si512(part(i));
    a[i] = _mm512_inserti32x4(a[i], part(4 + i), 1);
    a[i] = _mm512_inserti32x4(a[i], part(8 + i), 2);
    a[i] = _mm512_inserti32x4(a[i], part(12 + i), 3);
  }
  const Bytes t0 = _mm512_unpacklo_epi32(a[0], a[1]), t1 = _mm512_unpackhi_epi32(a[0], a[1]);
  const Bytes t2 = _mm512_unpacklo_epi32(a[2], a[3]), t3 = _mm512_unpackhi_epi32(a[2], a[3]);
  out[0] = _mm512_unpacklo_epi64(t0, t2), out[1] = _mm512_unpackhi_epi64(t0, t2);
  out[2] = _mm512_unpacklo_epi64(t1, t3), out[3] = _mm512_unpackhi_epi64(t1, t3);
#else
  Bytes a[4];
  for (int i = 0; i < 4; ++i) {
    const auto part = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row[r] + offset)); };
    a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(part(i)), part(4 + i), 1);
  }
  const Bytes t0 = _mm256_unpacklo_epi32(a[0], a[1]), t1 = _mm256_unpackhi_epi32(a[0], a[1]);
  const Bytes t2 = _mm256_unpacklo_epi32(a[2], a[3]), t3 = _mm256_unpackhi_epi32(a[2], a[3]);
  out[0] = _mm256_unpacklo_epi64(t0, t2), out[1] = _mm256_unpackhi_epi64(t0, t2);
  out[2] = _mm256_unpacklo_epi64(t1, t3), out[3] = _mm256_unpackhi_epi64(t1, t3);
#endif
}
#endif

}  // namespace MARGAY_ISA
}  // namespace margay::simd
