// Kernel of layer_norm: a thread has whole rows.
#include "ops/kernel.h"
#include "ops/params.h"
#include "ops/simd/vec.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

using simd::F32;
using simd::kWidth;
using simd::load;
using simd::load_part;
using simd::store;
using simd::store_part;

// The sum of f(x) over a row, where f(padding) is 0.
template <class F>
MARGAY_INLINE float sum_of(const float* x, int64_t length, float padding, F f) {
  F32 sum = simd::zero();
  int64_t i = 0;
  for (; i + kWidth <= length; i += kWidth) sum += f(load(x + i));
  if (i < length) sum += f(load_part(x + i, static_cast<int>(length - i), padding));
  return simd::sum(sum);
}

}  // namespace

// The variance from the centered row: in one pass with the mean, a large mean would cancel it.
void layer_norm_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const int64_t length = row_length(args.in[0].shape);
  const float epsilon = params<LayerNormParams>(args).epsilon;
  const float *weight = data<float>(args.in[1]), *bias = data<float>(args.in[2]);
  const Range rows = share(row_count(args.in[0].shape), 1, thread, threads);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = data<float>(args.in[0]) + row * length;
    float* y = data<float>(args.out[0]) + row * length;
    const float count = static_cast<float>(length);
    const float mean = sum_of(x, length, 0, [](F32 v) { return v; }) / count;
    const float variance = sum_of(x, length, mean, [&](F32 v) { return (v - mean) * (v - mean); }) / count;
    const float inverse = 1 / __builtin_sqrtf(variance + epsilon);
    int64_t i = 0;
    for (; i + kWidth <= length; i += kWidth)
      store(y + i, (load(x + i) - mean) * inverse * load(weight + i) + load(bias + i));
    const int left = static_cast<int>(length - i);
    if (left > 0)
      store_part(y + i,
                 (load_part(x + i, left) - mean) * inverse * load_part(weight + i, left) + load_part(bias + i, left),
                 left);
  }
}

}  // namespace margay::cpu::MARGAY_ISA
