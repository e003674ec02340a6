// Elements of a weight row of any type to float32, by SIMD: what the embedding, the float products and their gradients
// use. The values are those of the scalar definitions, bit for bit; where a type adds a shift to a product, its rounding
// may be an fma's. C headers only.
#pragma once
#include "ops/quant/blocks.h"
#include "ops/quant/q4_0.h"
#include "ops/quant/q8_0.h"
#include "ops/simd/int8.h"

namespace margay::simd {
inline namespace MARGAY_ISA {

MARGAY_INLINE int64_t weight_row_bytes(DType type, int64_t columns) {
  switch (type) {
    case DType::F32:
      return columns * 4;
    case DType::Q8_0:
      return columns / 32 * static_cast<int64_t>(sizeof(BlockQ8_0));
    case DType::Q4_0:
      return columns / 32 * static_cast<int64_t>(sizeof(BlockQ4_0));
#define MARGAY_CASE(type) \
  case DType::type:       \
    return columns / Block##type::kLength * static_cast<int64_t>(sizeof(Block##type));
      MARGAY_LEVEL_TYPES(MARGAY_CASE)
#undef MARGAY_CASE
    default:
      return columns * 2;
  }
}

template <class Block>
MARGAY_INLINE void unpack_block(const Block& block, float* out) {
  dequantize_levels(block, out);
}

MARGAY_INLINE void unpack_block(const BlockQ8_0& block, float* out) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 32; i += kWidth) store(out + i, load_int8(block.q + i) * d);
}

MARGAY_INLINE void unpack_block(const BlockQ4_0& block, float* out) {
  const float d = half_to_float(block.d);
  typedef uint8_t U8 __attribute__((vector_size(16)));
  typedef int8_t I8 __attribute__((vector_size(16)));
  U8 q;
  memcpy(&q, block.q, sizeof q);
  const I8 nibbles[2] = {(I8)(q & 15) - 8, (I8)(q >> 4) - 8};
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 16; i += kWidth)
      store(out + 16 * half + i, load_int8(reinterpret_cast<const char*>(nibbles + half) + i) * d);
}

template <class Block, int kLength>
MARGAY_INLINE void unpack_blocks(const void* row, int64_t begin, int64_t count, float* out) {
  const Block* block = static_cast<const Block*>(row) + begin / kLength;
  int64_t i = 0;
  if (begin % kLength == 0)
    for (; i + kLength <= count; i += kLength) unpack_block(*block++, out + i);
  while (i < count) {  // parts of blocks
    float values[kLength];
    unpack_block(*block++, values);
    const int64_t skip = (begin + i) % kLength, n = kLength - skip < count - i ? kLength - skip : count - i;
    memcpy(out + i, values + skip, static_cast<size_t>(n) * 4);
    i += n;
  }
}

// Elements [begin, begin + count) of the row at `row`.
static inline void unpack(DType type, const void* row, int64_t begin, int64_t count, float* out) {
  switch (type) {
    case DType::F32:
      memcpy(out, static_cast<const float*>(row) + begin, static_cast<size_t>(count) * 4);
      return;
    case DType::Q8_0:
      unpack_blocks<BlockQ8_0, 32>(row, begin, count, out);
      return;
    case DType::Q4_0:
      unpack_blocks<BlockQ4_0, 32>(row, begin, count, out);
      return;
#define MARGAY_CASE(type)                                                     \
  case DType::type:                                                           \
    unpack_blocks<Block##type, Block##type::kLength>(row, begin, count, out); \
    return;
      MARGAY_LEVEL_TYPES(MARGAY_CASE)
#undef MARGAY_CASE
    default:
      break;
  }
  const uint16_t* p = static_cast<const uint16_t*>(row) + begin;
  int64_t i = 0;
  if (type == DType::F16) {
    for (; i + kWidth <= count; i += kWidth) store(out + i, load_half(p + i));
    for (; i < count; ++i) out[i] = half_to_float(p[i]);
  } else {
    for (; i + kWidth <= count; i += kWidth) store(out + i, load_bf16(p + i));
    for (; i < count; ++i) out[i] = bf16_to_float(p[i]);
  }
}

}  // namespace MARGAY_ISA
}  // namespace margay::simd
