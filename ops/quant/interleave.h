// Weights of kWidth rows side by side, as the int8 products read them: a 32-bit lane belongs to a row and holds four
// consecutive weights, so a register is a step of four k for all rows, and scales and shifts are vectors over the rows.
// One unpack_rows() for each type, the SIMD form of its split_levels(); what it finds goes to an Out:
//
//   put(step, levels): k = 4 * step ... of the block, as level - kLowest; put_signed: levels of eight bits as they are
//   put_scale(group, scales), put_shift(group, shifts)
//
// C headers only.
#pragma once
#include "ops/quant/blocks.h"
#include "ops/simd/int8.h"

namespace margay::simd {
inline namespace MARGAY_ISA {

// What the products know of a type.
template <class Block>
struct Levels {
  // Eight bits are multiplied as signed bytes, fewer as level - kLowest, which is below 128.
  static constexpr bool kSigned = Block::kLowest == -128;
  static constexpr int kHighest = Block::kHighest - Block::kLowest;
  // The unpacked byte that stands for level 0: what it adds to the products must be taken off again.
  static constexpr int kZero = kSigned ? (kFlipSigned ? 128 : 0) : -Block::kLowest;
  static constexpr bool kShift = Block::kLowest == 0;  // weight = scale * level + shift
};

// A block in each of kWidth rows of a matrix.
struct Rows {
  const uint8_t* quad[kWidth / 4];  // rows 0, 4, 8, ...
  int64_t stride, stride3;          // bytes from a row to the next, and to the third after it

  MARGAY_MEMBER Rows(const uint8_t* first, int64_t bytes) : stride(bytes), stride3(3 * bytes) {
    for (int i = 0; i < kWidth / 4; ++i) quad[i] = first + 4 * i * bytes;
  }
  MARGAY_MEMBER const uint8_t* row(int r) const { return quad[r / 4] + (r % 4 == 3 ? stride3 : r % 4 * stride); }
  // The asm keeps the compiler from turning six registers into kWidth pointers on the stack.
  MARGAY_MEMBER void advance(int64_t bytes) {
    MARGAY_UNROLL
    for (int i = 0; i < kWidth / 4; ++i) {
      quad[i] += bytes;
      asm("" : "+r"(quad[i]));
    }
  }
};

// 16 bytes at `offset` of each of kWidth rows -> 4 registers: lane r of out[i] is bytes 4i..4i+3 of row r.
MARGAY_INLINE void transpose_dwords(const Rows& rows, int64_t offset, Bytes* out) {
#if defined(__AVX2__)
  const auto part = [&](int r) { return reinterpret_cast<const __m128i*>(rows.row(r) + offset); };
#endif
#if defined(__AVX512F__)
  __m512i a[4];
  MARGAY_UNROLL
  for (int i = 0; i < 4; ++i) {
    a[i] = _mm512_castsi128_si512(_mm_loadu_si128(part(i)));
    a[i] = _mm512_mask_broadcast_i32x4(a[i], 0x00f0, _mm_loadu_si128(part(4 + i)));
    a[i] = _mm512_mask_broadcast_i32x4(a[i], 0x0f00, _mm_loadu_si128(part(8 + i)));
    a[i] = _mm512_mask_broadcast_i32x4(a[i], 0xf000, _mm_loadu_si128(part(12 + i)));
  }
  const __m512i t0 = _mm512_unpacklo_epi32(a[0], a[1]), t1 = _mm512_unpackhi_epi32(a[0], a[1]);
  const __m512i t2 = _mm512_unpacklo_epi32(a[2], a[3]), t3 = _mm512_unpackhi_epi32(a[2], a[3]);
  out[0] = (Bytes)_mm512_unpacklo_epi64(t0, t2), out[1] = (Bytes)_mm512_unpackhi_epi64(t0, t2);
  out[2] = (Bytes)_mm512_unpacklo_epi64(t1, t3), out[3] = (Bytes)_mm512_unpackhi_epi64(t1, t3);
#elif defined(__AVX2__)
  __m256i a[4];
  MARGAY_UNROLL
  for (int i = 0; i < 4; ++i)
    a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(part(i))), _mm_loadu_si128(part(4 + i)), 1);
  const __m256i t0 = _mm256_unpacklo_epi32(a[0], a[1]), t1 = _mm256_unpackhi_epi32(a[0], a[1]);
  const __m256i t2 = _mm256_unpacklo_epi32(a[2], a[3]), t3 = _mm256_unpackhi_epi32(a[2], a[3]);
  out[0] = (Bytes)_mm256_unpacklo_epi64(t0, t2), out[1] = (Bytes)_mm256_unpackhi_epi64(t0, t2);
  out[2] = (Bytes)_mm256_unpacklo_epi64(t1, t3), out[3] = (Bytes)_mm256_unpackhi_epi64(t1, t3);
#else
  static_assert(kWidth == 4);
  F32 square[4];
  MARGAY_UNROLL
  for (int r = 0; r < 4; ++r) memcpy(square + r, rows.row(r) + offset, 16);
  transpose_square(square);
  MARGAY_UNROLL
  for (int i = 0; i < 4; ++i) out[i] = (Bytes)square[i];
#endif
}

// Lane r is the i-th four bytes from `offset` of row r; all 16 from there are the block's.
MARGAY_INLINE Dwords gather_dwords(const Rows& rows, int64_t offset, int i) {
  Bytes q[4];
  transpose_dwords(rows, offset, q);  // what is not used is not computed
  return (Dwords)q[i];
}

MARGAY_INLINE F32 high_half_of_lanes(Dwords v) { return low_half_of_lanes(v >> 16); }

// 16 bytes of nibbles at `offset`: steps 0..3 are the low ones, 4..7 the high ones.
MARGAY_INLINE void unpack_nibbles(const Rows& rows, int64_t offset, Bytes* step) {
  transpose_dwords(rows, offset, step);
  MARGAY_UNROLL
  for (int i = 0; i < 4; ++i) {
    step[4 + i] = high_nibbles(step[i]);
    step[i] = low_nibbles(step[i]);
  }
}

// --- blocks of 32 ----------------------------------------------------------------------------------------------------
template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ8_0*, const Rows& rows, Out& out) {
  MARGAY_UNROLL
  for (int part = 0; part < 2; ++part) {
    Bytes q[4];
    transpose_dwords(rows, 2 + 16 * part, q);
    MARGAY_UNROLL
    for (int i = 0; i < 4; ++i) out.put_signed(4 * part + i, q[i]);
  }
  out.put_scale(0, low_half_of_lanes(gather_dwords(rows, 0, 0)));
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ4_0*, const Rows& rows, Out& out) {
  Bytes q[8];
  unpack_nibbles(rows, 2, q);
  MARGAY_UNROLL
  for (int i = 0; i < 8; ++i) out.put(i, q[i]);
  out.put_scale(0, low_half_of_lanes(gather_dwords(rows, 0, 0)));
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockIQ4_NL*, const Rows& rows, Out& out) {
  Bytes q[8];
  unpack_nibbles(rows, 2, q);
  MARGAY_UNROLL
  for (int i = 0; i < 8; ++i) out.put_signed(i, look_up(kIq4Codes, q[i]));
  out.put_scale(0, low_half_of_lanes(gather_dwords(rows, 0, 0)));
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ4_1*, const Rows& rows, Out& out) {
  Bytes head[4], q[8];
  transpose_dwords(rows, 0, head);
  unpack_nibbles(rows, 4, q);
  MARGAY_UNROLL
  for (int i = 0; i < 8; ++i) out.put(i, q[i]);
  out.put_scale(0, low_half_of_lanes((Dwords)head[0]));
  out.put_shift(0, high_half_of_lanes((Dwords)head[0]));
}

// Bits 4 * step .. 4 * step + 3 of each lane as bit 4 of its four bytes.
MARGAY_INLINE Bytes fifth_bits(Dwords high, int step) {
  const Bytes repeated = (Bytes)((high >> 8 * (step / 2) & 255) * 0x01010101u);
  const Bytes bit = splat_dword(static_cast<int32_t>(step % 2 ? 0x80402010u : 0x08040201u));
  return (Bytes)((repeated & bit) == bit) & 16;
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ5_0*, const Rows& rows, Out& out) {
  Bytes head[4], q[8];  // head: d and two bytes of `high`, two more and weights, ...
  transpose_dwords(rows, 0, head);
  unpack_nibbles(rows, 6, q);
  const Dwords high = (Dwords)head[0] >> 16 | (Dwords)head[1] << 16;
  MARGAY_UNROLL
  for (int i = 0; i < 8; ++i) out.put(i, q[i] | fifth_bits(high, i));
  out.put_scale(0, low_half_of_lanes((Dwords)head[0]));
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ5_1*, const Rows& rows, Out& out) {
  Bytes head[4], q[8];
  transpose_dwords(rows, 0, head);
  unpack_nibbles(rows, 8, q);
  MARGAY_UNROLL
  for (int i = 0; i < 8; ++i) out.put(i, q[i] | fifth_bits((Dwords)head[1], i));
  out.put_scale(0, low_half_of_lanes((Dwords)head[0]));
  out.put_shift(0, high_half_of_lanes((Dwords)head[0]));
}

// --- super-blocks of 256 ---------------------------------------------------------------------------------------------
// The header of Q4_K and Q5_K: 16 bytes.
template <class Out>
MARGAY_INLINE void unpack_scales(const Rows& rows, Out& out) {
  Bytes head[4];
  transpose_dwords(rows, 0, head);
  const F32 d = low_half_of_lanes((Dwords)head[0]), dmin = high_half_of_lanes((Dwords)head[0]);
  const Dwords a = (Dwords)head[1], b = (Dwords)head[2], c = (Dwords)head[3];
  const Dwords scale[2] = {a & 0x3f3f3f3fu, (c & 0x0f0f0f0fu) | (a >> 2 & 0x30303030u)};
  const Dwords shift[2] = {b & 0x3f3f3f3fu, (c >> 4 & 0x0f0f0f0fu) | (b >> 2 & 0x30303030u)};
  MARGAY_UNROLL
  for (int g = 0; g < 8; ++g) {
    out.put_scale(g, d * byte_of_lanes(scale[g / 4], g % 4));
    out.put_shift(g, zero() - dmin * byte_of_lanes(shift[g / 4], g % 4));
  }
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ4_K*, const Rows& rows, Out& out) {
  unpack_scales(rows, out);
  MARGAY_UNROLL
  for (int c = 0; c < 4; ++c) MARGAY_UNROLL
  for (int part = 0; part < 2; ++part) {
    Bytes q[8];
    unpack_nibbles(rows, 16 + 32 * c + 16 * part, q);
    MARGAY_UNROLL
    for (int i = 0; i < 4; ++i) {
      out.put(16 * c + 4 * part + i, q[i]);
      out.put(16 * c + 8 + 4 * part + i, q[4 + i]);
    }
  }
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ5_K*, const Rows& rows, Out& out) {
  unpack_scales(rows, out);
  MARGAY_UNROLL
  for (int part = 0; part < 2; ++part) {
    Bytes high[4];
    transpose_dwords(rows, 16 + 16 * part, high);
    MARGAY_UNROLL
    for (int c = 0; c < 4; ++c) {
      Bytes q[8];
      unpack_nibbles(rows, 48 + 32 * c + 16 * part, q);
      MARGAY_UNROLL
      for (int i = 0; i < 4; ++i) {
        out.put(16 * c + 4 * part + i, q[i] | (move_bits(high[i], 4 - 2 * c) & 16));
        out.put(16 * c + 8 + 4 * part + i, q[4 + i] | (move_bits(high[i], 3 - 2 * c) & 16));
      }
    }
  }
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ6_K*, const Rows& rows, Out& out) {
  MARGAY_UNROLL
  for (int h = 0; h < 2; ++h) MARGAY_UNROLL
  for (int part = 0; part < 2; ++part) {
    Bytes high[4];
    transpose_dwords(rows, 128 + 32 * h + 16 * part, high);
    MARGAY_UNROLL
    for (int t = 0; t < 2; ++t) {
      Bytes q[8];
      unpack_nibbles(rows, 64 * h + 32 * t + 16 * part, q);
      MARGAY_UNROLL
      for (int i = 0; i < 4; ++i) {
        out.put(32 * h + 8 * t + 4 * part + i, q[i] | (move_bits(high[i], 4 - 2 * t) & 0x30));
        out.put(32 * h + 16 + 8 * t + 4 * part + i, q[4 + i] | (move_bits(high[i], -2 * t) & 0x30));
      }
    }
  }
  Bytes scale[4];
  transpose_dwords(rows, 192, scale);
  const F32 d = high_half_of_lanes(gather_dwords(rows, 194, 3));
  MARGAY_UNROLL
  for (int g = 0; g < 16; ++g) out.put_scale(g, d * signed_byte_of_lanes((Dwords)scale[g / 4], g % 4));
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ3_K*, const Rows& rows, Out& out) {
  MARGAY_UNROLL
  for (int part = 0; part < 2; ++part) {
    Bytes high[4];
    transpose_dwords(rows, 16 * part, high);
    MARGAY_UNROLL
    for (int h = 0; h < 2; ++h) {
      Bytes low[4];
      transpose_dwords(rows, 32 + 32 * h + 16 * part, low);
      MARGAY_UNROLL
      for (int j = 0; j < 4; ++j) MARGAY_UNROLL
      for (int i = 0; i < 4; ++i)
        out.put(32 * h + 8 * j + 4 * part + i,
                (move_bits(low[i], -2 * j) & 3) | (move_bits(high[i], 2 - 4 * h - j) & 4));
    }
  }
  Bytes tail[4];  // from two bytes before the scales
  transpose_dwords(rows, 94, tail);
  Dwords bits[3];
  MARGAY_UNROLL
  for (int i = 0; i < 3; ++i) bits[i] = (Dwords)tail[i] >> 16 | (Dwords)tail[i + 1] << 16;
  const F32 d = high_half_of_lanes((Dwords)tail[3]);
  MARGAY_UNROLL
  for (int g = 0; g < 16; ++g) {
    const Dwords low = bits[g / 4 % 2] >> 4 * (g / 8) & 0x0f0f0f0fu, high = bits[2] >> 2 * (g / 4) & 0x03030303u;
    out.put_scale(g, d * (byte_of_lanes(low | high << 4, g % 4) - 32.f));
  }
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockQ2_K*, const Rows& rows, Out& out) {
  MARGAY_UNROLL
  for (int h = 0; h < 2; ++h) MARGAY_UNROLL
  for (int part = 0; part < 2; ++part) {
    Bytes q[4];
    transpose_dwords(rows, 16 + 32 * h + 16 * part, q);
    MARGAY_UNROLL
    for (int j = 0; j < 4; ++j) MARGAY_UNROLL
    for (int i = 0; i < 4; ++i) out.put(32 * h + 8 * j + 4 * part + i, move_bits(q[i], -2 * j) & 3);
  }
  Bytes scale[4];
  transpose_dwords(rows, 0, scale);
  const Dwords d_and_dmin = gather_dwords(rows, 68, 3);
  const F32 d = low_half_of_lanes(d_and_dmin), dmin = high_half_of_lanes(d_and_dmin);
  MARGAY_UNROLL
  for (int g = 0; g < 16; ++g) {
    out.put_scale(g, d * byte_of_lanes((Dwords)low_nibbles(scale[g / 4]), g % 4));
    out.put_shift(g, zero() - dmin * byte_of_lanes((Dwords)high_nibbles(scale[g / 4]), g % 4));
  }
}

template <class Out>
MARGAY_INLINE void unpack_rows(const BlockIQ4_XS*, const Rows& rows, Out& out) {
  Bytes head[4];
  transpose_dwords(rows, 0, head);
  const F32 d = low_half_of_lanes((Dwords)head[0]);
  MARGAY_UNROLL
  for (int g = 0; g < 8; ++g) {
    const Dwords low = (Dwords)head[1] >> 4 * g & 15, high = (Dwords)head[0] >> (16 + 2 * g) & 3;
    out.put_scale(g, d * (byte_of_lanes(low | high << 4, 0) - 32.f));
    Bytes q[8];
    unpack_nibbles(rows, 8 + 16 * g, q);
    MARGAY_UNROLL
    for (int i = 0; i < 8; ++i) out.put_signed(8 * g + i, look_up(kIq4Codes, q[i]));
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
