// Kernels of gelu: one pass, element by element.
#include "ops/gelu/gelu.h"
#include "ops/kernel.h"
#include "ops/simd/vec.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

using simd::F32;
using simd::kWidth;
using simd::load;
using simd::load_part;
using simd::splat;
using simd::store;
using simd::store_part;

constexpr int64_t kGrain = 256;

MARGAY_INLINE F32 sigmoid_of_cubic(F32 x) {
  const F32 u = x * (x * x * (kGeluSlope * kGeluCube) + kGeluSlope);
  return splat(1) / (simd::exp(-u) + splat(1));
}

MARGAY_INLINE F32 value(F32 x) { return x * sigmoid_of_cubic(x); }

// s + x s (1 - s) u' with s = sigmoid(u), u' = kGeluSlope (1 + 3 kGeluCube x^2)
MARGAY_INLINE F32 slope(F32 x) {
  const F32 s = sigmoid_of_cubic(x);
  return s + x * s * (splat(1) - s) * (x * x * (3 * kGeluSlope * kGeluCube) + kGeluSlope);
}

}  // namespace

void gelu_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const float* x = data<float>(args.in[0]);
  float* y = data<float>(args.out[0]);
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) store(y + i, value(load(x + i)));
  const int left = static_cast<int>(range.end - i);
  if (left > 0) store_part(y + i, value(load_part(x + i, left)), left);
}

void gelu_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const float *x = data<float>(args.in[0]), *dy = data<float>(args.in[1]);
  float* dx = data<float>(args.out[0]);
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) store(dx + i, slope(load(x + i)) * load(dy + i));
  const int left = static_cast<int>(range.end - i);
  if (left > 0) store_part(dx + i, slope(load_part(x + i, left)) * load_part(dy + i, left), left);
}

}  // namespace margay::cpu::MARGAY_ISA
