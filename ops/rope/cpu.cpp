// Kernels of rope_table and rope.
#include "ops/kernel.h"
#include "ops/params.h"
#include "ops/simd/vec.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

using simd::F32;
using simd::kWidth;
using simd::load;
using simd::store;

constexpr int64_t kPairs = 16;  // of a table's row that a thread computes at once: a cache line of cosines

typedef float Four __attribute__((vector_size(16)));

Four load_four(const float* p) {
  Four v;
  memcpy(&v, p, sizeof v);
  return v;
}
void store_four(float* p, Four v) { memcpy(p, &v, sizeof v); }

MARGAY_INLINE void rotate_pair(float* y, int64_t a, int64_t b, const float* x, float c, float s) {
  const float first = x[a], second = x[b];
  y[a] = first * c - second * s;
  y[b] = first * s + second * c;
}

// Pairs i and i + half.
void rotate_halves(float* y, const float* x, const float* cosine, const float* sine, float sign, int64_t half) {
  int64_t i = 0;
  for (; i + kWidth <= half; i += kWidth) {
    const F32 c = load(cosine + i), s = load(sine + i) * sign, first = load(x + i), second = load(x + half + i);
    store(y + i, first * c - second * s);
    store(y + half + i, first * s + second * c);
  }
  for (; i < half; ++i) rotate_pair(y, i, half + i, x, cosine[i], sine[i] * sign);
}

// Pairs 2i and 2i + 1. Four pairs at a time on every instruction set: wider shuffles need other indices on each.
void rotate_neighbours(float* y, const float* x, const float* cosine, const float* sine, float sign, int64_t half) {
  int64_t i = 0;
  for (; i + 4 <= half; i += 4) {
    const Four low = load_four(x + 2 * i), high = load_four(x + 2 * i + 4);
    const Four first = __builtin_shufflevector(low, high, 0, 2, 4, 6);
    const Four second = __builtin_shufflevector(low, high, 1, 3, 5, 7);
    const Four c = load_four(cosine + i), s = load_four(sine + i) * sign;
    const Four even = first * c - second * s, odd = first * s + second * c;
    store_four(y + 2 * i, __builtin_shufflevector(even, odd, 0, 4, 1, 5));
    store_four(y + 2 * i + 4, __builtin_shufflevector(even, odd, 2, 6, 3, 7));
  }
  for (; i < half; ++i) rotate_pair(y, 2 * i, 2 * i + 1, x, cosine[i], sine[i] * sign);
}

}  // namespace

// Angles in double: at a million tokens those in float32 are off by 0.06 rad.
void rope_table_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const RopeTableParams& p = params<RopeTableParams>(args);
  const int32_t* positions = data<int32_t>(args.in[0]);
  const float* factors = data<float>(args.in[1]);
  const int64_t rows = args.in[0].shape.dim[0], half = p.dimensions / 2, blocks = (half + kPairs - 1) / kPairs;
  const Range range = share(rows * blocks, 1, thread, threads);  // all rows of a block of pairs follow each other
  double frequency[kPairs] = {};
  for (int64_t unit = range.begin; unit < range.end; ++unit) {
    const int64_t row = unit % rows, begin = unit / rows * kPairs, end = begin + kPairs < half ? begin + kPairs : half;
    if (row == 0 || unit == range.begin)
      for (int64_t i = begin; i < end; ++i)
        frequency[i - begin] = __builtin_pow(p.base, -2.0 * static_cast<double>(i) / p.dimensions) / double(factors[i]);
    float* table = data<float>(args.out[0]) + row * p.dimensions;
    for (int64_t i = begin; i < end; ++i) {
      const double angle = positions[row] * frequency[i - begin];
      table[i] = static_cast<float>(__builtin_cos(angle)) * p.magnitude;
      table[half + i] = static_cast<float>(__builtin_sin(angle)) * p.magnitude;
    }
  }
}

void rope_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const RopeParams& p = params<RopeParams>(args);
  const Shape &shape = args.in[0].shape, &table_shape = args.in[1].shape;
  const int64_t heads = shape.dim[2], dim = shape.dim[3], rotated = table_shape.dim[1], half = rotated / 2;
  const float sign = p.inverse ? -1.f : 1.f;
  const Range rows = share(row_count(shape), 1, thread, threads);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = data<float>(args.in[0]) + row * dim;
    float* y = data<float>(args.out[0]) + row * dim;
    const float* cosine = data<float>(args.in[1]) + row / heads * rotated;
    const float* sine = cosine + half;
    if (p.half_split) rotate_halves(y, x, cosine, sine, sign, half);
    else rotate_neighbours(y, x, cosine, sine, sign, half);
    if (y != x && rotated < dim) memcpy(y + rotated, x + rotated, static_cast<size_t>(dim - rotated) * sizeof(float));
  }
}

}  // namespace margay::cpu::MARGAY_ISA
