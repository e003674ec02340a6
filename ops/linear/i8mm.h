// Byte products by NEON's matrix instruction (smmla): 2 rows x 8 k times 8 k x 2 columns, twice what a dot product does
// at once. Steps of a tile come in pairs for it, so that a register holds eight k of two rows; the columns of a panel
// are brought together on the way. C headers only.
#pragma once
#include "ops/simd/int8.h"

namespace margay::linear {
inline namespace MARGAY_ISA {

using namespace simd;

#if defined(MARGAY_NEON_I8MM)
// Two steps of four rows, as unpack_rows() puts them, to eight k of rows 0 and 1, and of rows 2 and 3.
MARGAY_INLINE void pair_steps(uint8_t* even, uint8_t* odd) {
  const uint32x4_t a = (uint32x4_t)load_bytes(even), b = (uint32x4_t)load_bytes(odd);
  store_bytes(even, (Bytes)vzip1q_u32(a, b));
  store_bytes(odd, (Bytes)vzip2q_u32(a, b));
}

// Eight k of columns 2 * pair and 2 * pair + 1 of a panel of kPanel, of which the first four are at x. A panel of one
// column gives that twice.
template <int kPanel>
MARGAY_INLINE int8x16_t column_pair(const char* x, int pair) {
  if (kPanel == 1) {
    int64_t v;
    memcpy(&v, x, sizeof v);
    return vreinterpretq_s8_s64(vdupq_n_s64(v));
  }
  if (kPanel == 2) {
    const int32x4_t v = (int32x4_t)load_bytes(x);
    return vreinterpretq_s8_s32(vzip1q_s32(v, vextq_s32(v, v, 2)));
  }
  const char* four = x + pair / 2 * 16;
  const int32x4_t a = (int32x4_t)load_bytes(four), b = (int32x4_t)load_bytes(four + 4 * kPanel);
  return vreinterpretq_s8_s32(pair % 2 ? vzip2q_s32(a, b) : vzip1q_s32(a, b));
}

// sum[column][half] += the products of kSteps steps of a tile, [kSteps][2][16] bytes in pairs, with the columns at x.
template <int kCount, int kPanel, int kSteps>
MARGAY_INLINE void matrix_products(const uint8_t (*w)[2][16], const char* x, I32 (*sum)[2]) {
  constexpr int kPairs = (kCount + 1) / 2;
  int32x4_t square[4][kPairs];  // rows 2i and 2i + 1 times a pair of columns
  MARGAY_UNROLL
  for (int p = 0; p < kPairs; ++p) MARGAY_UNROLL
  for (int i = 0; i < 4; ++i) square[i][p] = vdupq_n_s32(0);
  MARGAY_UNROLL
  for (int s = 0; s < kSteps; s += 2) MARGAY_UNROLL
  for (int p = 0; p < kPairs; ++p) {
    const int8x16_t columns = column_pair<kPanel>(x + 4 * kPanel * s, p);
    MARGAY_UNROLL
    for (int i = 0; i < 4; ++i)
      square[i][p] = vmmlaq_s32(square[i][p], (int8x16_t)load_bytes(w[s + i % 2][i / 2]), columns);
  }
  MARGAY_UNROLL
  for (int p = 0; p < kPairs; ++p) MARGAY_UNROLL
  for (int h = 0; h < 2; ++h) {
    sum[2 * p][h] += (I32)vuzp1q_s32(square[2 * h][p], square[2 * h + 1][p]);
    if (2 * p + 1 < kCount) sum[2 * p + 1][h] += (I32)vuzp2q_s32(square[2 * h][p], square[2 * h + 1][p]);
  }
}
#endif

}  // namespace MARGAY_ISA
}  // namespace margay::linear
