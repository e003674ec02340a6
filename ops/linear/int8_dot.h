// Few rows of quantized activations times Q8_0 or Q4_0 weights: dot products along the rows of the weight.
//
// No weight is ever moved: a row of 34- or 18-byte blocks is read register by register, and the ACTIVATION is laid out
// once to fit, with zeros under the blocks' scales. Blocks have 17 or 9 16-bit words, so no 32-bit lane mixes the
// weights of two blocks: the byte products leave clean partial sums, and only the scale must follow its block. A chunk
// of as many blocks as a register has words is exactly 17 or 9 registers, and since 17 and 9 are odd, its scales fall
// on different words of the register: bit selects gather them all into one. C headers only.
#pragma once
#include "ops/kernel.h"
#include "ops/linear/tiles.h"
#include "ops/quant/activation.h"
#include "ops/quant/q4_0.h"
#include "ops/quant/q8_0.h"
#include "ops/simd/int8.h"

namespace margay::linear {
inline namespace MARGAY_ISA {

using namespace simd;

#if defined(MARGAY_INT8)

constexpr int kBytes = 4 * kWidth;  // of a register
constexpr int kWords = 2 * kWidth;  // 16-bit words: also blocks in a chunk

// Where the scale of a chunk's block is after gathering, as the scales of the activation are laid out.
template <int kLines>
constexpr int scale_slot(int block) {
#if defined(__AVX512F__)
  return kLines * block % kWords;
#else
  return block;  // a blend of the two halves puts them in order
#endif
}

// kLines = 16-bit words in a block = registers in a chunk.
template <int kLines>
struct ChunkTables {
  alignas(64) uint16_t is_scale[kLines][kWords] = {};
  alignas(64) int32_t slot[kLines][kWidth] = {};  // for each lane of a register: where its block's scale is
  constexpr ChunkTables() {
    for (int j = 0; j < kLines; ++j) {
      for (int i = 0; i < kWords; ++i) is_scale[j][i] = (kWords * j + i) % kLines == 0 ? 0xffff : 0;
      for (int i = 0; i < kWidth; ++i) slot[j][i] = scale_slot<kLines>((kWords * j + 2 * i) / kLines);
    }
  }
};
template <int kLines>
static constexpr ChunkTables<kLines> kTables;

// The activation as the rows of weights want it, for one chunk: `kPlanes` x kLines registers of bytes (Q4_0: one plane
// for the low nibbles, one for the high), then kWords scales, then kWords factors of the weights' offset.
template <int kLines>
struct Chunk {
  static constexpr int kPlanes = kLines == 9 ? 2 : 1;
  int8_t q[kPlanes][kLines * kBytes];
  float scale[kWords], offset[kWords];
};

template <int kLines>
static void lay_out(const ActivationRow& x, int64_t blocks, Chunk<kLines>* chunk) {
  for (int64_t begin = 0; begin < blocks; begin += kWords, ++chunk) {
    const int count = static_cast<int>(blocks - begin < kWords ? blocks - begin : kWords);
    if (count < kWords) memset(chunk, 0, sizeof *chunk);
    for (int i = 0; i < count; ++i) {
      const int8_t* q = x.q + 32 * (begin + i);
      const float scale = x.scale[begin + i];
      int offset = x.offset[begin + i];  // -8 sums: the offset of nibbles
      if (kLines == 9) {
        for (int plane = 0; plane < 2; ++plane) {
          memset(chunk->q[plane] + 18 * i, 0, 2);
          memcpy(chunk->q[plane] + 18 * i + 2, q + 16 * plane, 16);
        }
      } else {
        memset(chunk->q[0] + 34 * i, 0, 2);
        memcpy(chunk->q[0] + 34 * i + 2, q, 32);
        offset = kShiftedBytes ? offset * 16 : 0;
      }
      chunk->scale[scale_slot<kLines>(i)] = scale;
      chunk->offset[scale_slot<kLines>(i)] = scale * static_cast<float>(offset);
    }
  }
}

// The gathered halves -> scales of weight x activation of the chunk's blocks, and the offsets' terms added to `sum`.
template <int kLines>
MARGAY_INLINE void chunk_scales(Bytes gathered, const Chunk<kLines>& x, F32* a, F32* b, F32* sum) {
#if defined(__AVX512F__)
  *a = (F32)_mm512_cvtph_ps(_mm512_castsi512_si256(gathered));
  *b = (F32)_mm512_cvtph_ps(_mm512_extracti64x4_epi64(gathered, 1));
#else
  *a = (F32)_mm256_cvtph_ps(_mm256_castsi256_si128(gathered));
  *b = (F32)_mm256_cvtph_ps(_mm256_extracti128_si256(gathered, 1));
  if (kLines == 9) {  // 9 b mod 16 is b for even blocks, b + 8 for odd ones
    const __m256 low = (__m256)*a, high = (__m256)*b;
    *a = (F32)_mm256_blend_ps(low, high, 0xAA);
    *b = (F32)_mm256_blend_ps(high, low, 0xAA);
  }
#endif
  *sum += *a * load(x.offset) + *b * load(x.offset + kWidth);
  *a = *a * load(x.scale);
  *b = *b * load(x.scale + kWidth);
}

template <int kLines>
MARGAY_INLINE F32 lane_scales(int j, F32 a, F32 b) {
#if defined(__AVX512F__)
  return (F32)_mm512_permutex2var_ps((__m512)a, _mm512_load_si512(kTables<kLines>.slot[j]), (__m512)b);
#else
  // Slots 0..7 are in a, 8..15 in b; only the register in the middle has lanes of both.
  const __m256i slot = _mm256_load_si256(reinterpret_cast<const __m256i*>(kTables<kLines>.slot[j]));
  if (j < kLines / 2) return (F32)_mm256_permutevar8x32_ps((__m256)a, slot);
  const __m256 from_b = _mm256_permutevar8x32_ps((__m256)b, slot);
  if (j > kLines / 2) return (F32)from_b;
  return (F32)_mm256_blend_ps(_mm256_permutevar8x32_ps((__m256)a, slot), from_b, 0xF0);
#endif
}

template <int kLines>
MARGAY_INLINE Bytes line_products(Bytes w, const Chunk<kLines>& x, int j) {
  const Bytes none = splat_byte(0);
  if (kLines == 9) {
    const Bytes low = low_nibbles(w), high = high_nibbles(w);
    const Bytes x_low = load_bytes(x.q[0] + j * kBytes),
                x_high = load_bytes(x.q[Chunk<kLines>::kPlanes - 1] + j * kBytes);
#if defined(__AVX512VNNI__)
    return dot_nibbles(dot_nibbles(none, low, x_low), high, x_high);
#else
    return sum_pairs(add_words(pair_products(low, x_low), pair_products(high, x_high)));
#endif
  }
  return dot_bytes(none, kShiftedBytes ? flip_sign_bits(w) : w, load_bytes(x.q[0] + j * kBytes));
}

MARGAY_INLINE Bytes select_scales(Bytes gathered, Bytes w, const uint16_t* is_scale) {
#if defined(__AVX512F__)
  return _mm512_ternarylogic_epi32(gathered, w, _mm512_load_si512(is_scale), 0xF8);  // gathered | (w & mask)
#else
  return _mm256_or_si256(gathered, _mm256_and_si256(w, _mm256_load_si256(reinterpret_cast<const __m256i*>(is_scale))));
#endif
}

// One row of weights times one activation.
template <int kLines>
MARGAY_INLINE float dot_quantized(const uint8_t* w, const Chunk<kLines>* x, int64_t blocks) {
  F32 sum[2] = {zero(), zero()}, offset = zero();
  for (; blocks >= kWords; blocks -= kWords, w += kLines * kBytes, ++x) {
    prefetch_stream(w, kLines * kBytes);
    Bytes gathered = splat_byte(0);
#pragma GCC unroll 17
    for (int j = 0; j < kLines; ++j)
      gathered = select_scales(gathered, load_bytes(w + j * kBytes), kTables<kLines>.is_scale[j]);
    F32 a, b;
    chunk_scales<kLines>(gathered, *x, &a, &b, &offset);
#pragma GCC unroll 17
    for (int j = 0; j < kLines; ++j)
      sum[j % 2] += to_float(line_products<kLines>(load_bytes(w + j * kBytes), *x, j)) * lane_scales<kLines>(j, a, b);
  }
  if (blocks) {  // the last chunk: nothing past the row's end is read
    const int bytes = static_cast<int>(blocks) * 2 * kLines, lines = (bytes + kBytes - 1) / kBytes;
    prefetch_stream(w, bytes);
    Bytes line[kLines], gathered = splat_byte(0);
    for (int j = 0; j < lines; ++j) {
      line[j] = load_bytes_part(w + j * kBytes, bytes - j * kBytes);
      gathered = select_scales(gathered, line[j], kTables<kLines>.is_scale[j]);
    }
    F32 a, b;
    chunk_scales<kLines>(gathered, *x, &a, &b, &offset);
    for (int j = 0; j < lines; ++j)
      sum[j % 2] += to_float(line_products<kLines>(line[j], *x, j)) * lane_scales<kLines>(j, a, b);
  }
  return simd::sum((sum[0] + sum[1]) + offset);
}

// y [count, n] = x [count, k] * w [n, k] for the rows of w in `rows`; count <= kFewRows.
template <int kLines>
static void dot_products(const uint8_t* w, const void* x, int64_t count, int64_t k, float* y, int64_t n, Range rows,
                         char* scratch) {
  const int64_t blocks = k / 32, bytes = blocks * 2 * kLines, chunks = (blocks + kWords - 1) / kWords;
  auto* laid_out = reinterpret_cast<Chunk<kLines>*>(scratch);
  for (int64_t i = 0; i < count; ++i) lay_out<kLines>(activation_row(x, i, k), blocks, laid_out + i * chunks);
  const int64_t half = (rows.end - rows.begin) / 2;
  const auto row = [&](int64_t r) {
    for (int64_t i = 0; i < count; ++i)
      y[i * n + r] = dot_quantized<kLines>(w + r * bytes, laid_out + i * chunks, blocks);
  };
  for (int64_t r = rows.begin; r < rows.begin + half; ++r) {  // two streams fill the memory's queues
    row(r);
    row(r + half);
  }
  if ((rows.end - rows.begin) % 2) row(rows.end - 1);
}

static inline void int8_dot_products(DType type, const void* w, const void* x, int64_t count, int64_t k, float* y,
                                     int64_t n, Range rows, char* scratch) {
  if (type == DType::Q4_0) dot_products<9>(static_cast<const uint8_t*>(w), x, count, k, y, n, rows, scratch);
  else dot_products<17>(static_cast<const uint8_t*>(w), x, count, k, y, n, rows, scratch);
}

#else  // no byte products: plain loops

static inline int32_t block_product(const BlockQ8_0& block, const int8_t* x) {
  int32_t sum = 0;
  for (int i = 0; i < 32; ++i) sum += block.q[i] * x[i];
  return sum;
}

static inline int32_t block_product(const BlockQ4_0& block, const int8_t* x) {
  int32_t sum = 0;
  for (int i = 0; i < 16; ++i) sum += ((block.q[i] & 15) - 8) * x[i] + ((block.q[i] >> 4) - 8) * x[i + 16];
  return sum;
}

template <class Block>
static void dot_products(const Block* w, const void* x, int64_t count, int64_t k, float* y, int64_t n, Range rows) {
  const int64_t blocks = k / 32;
  for (int64_t r = rows.begin; r < rows.end; ++r)
    for (int64_t i = 0; i < count; ++i) {
      const ActivationRow a = activation_row(x, i, k);
      float sum = 0;
      for (int64_t b = 0; b < blocks; ++b) {
        const Block& block = w[r * blocks + b];
        sum += static_cast<float>(block_product(block, a.q + 32 * b)) * (half_to_float(block.d) * a.scale[b]);
      }
      y[i * n + r] = sum;
    }
}

static inline void int8_dot_products(DType type, const void* w, const void* x, int64_t count, int64_t k, float* y,
                                     int64_t n, Range rows, char*) {
  if (type == DType::Q4_0) dot_products(static_cast<const BlockQ4_0*>(w), x, count, k, y, n, rows);
  else dot_products(static_cast<const BlockQ8_0*>(w), x, count, k, y, n, rows);
}

#endif

}  // namespace MARGAY_ISA
}  // namespace margay::linear
