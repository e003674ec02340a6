// Kernels of swiglu: one pass, element by element.
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

MARGAY_INLINE F32 sigmoid(F32 x) { return splat(1) / (simd::exp(-x) + splat(1)); }

struct Gradients {
  F32 gate, up;
};

// silu(g) = g s with s = sigmoid(g); silu'(g) = s (1 + g (1 - s))
MARGAY_INLINE Gradients gradients(F32 gate, F32 up, F32 dy) {
  const F32 s = sigmoid(gate), ds = dy * s;
  return {ds * up * (gate * (splat(1) - s) + splat(1)), ds * gate};
}

}  // namespace

void swiglu_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const float *gate = data<float>(args.in[0]), *up = data<float>(args.in[1]);
  float* y = data<float>(args.out[0]);
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) {
    const F32 g = load(gate + i);
    store(y + i, g * sigmoid(g) * load(up + i));
  }
  const int left = static_cast<int>(range.end - i);
  if (left > 0) {
    const F32 g = load_part(gate + i, left);
    store_part(y + i, g * sigmoid(g) * load_part(up + i, left), left);
  }
}

void swiglu_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const float *gate = data<float>(args.in[0]), *up = data<float>(args.in[1]), *dy = data<float>(args.in[2]);
  float *dgate = data<float>(args.out[0]), *dup = data<float>(args.out[1]);
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) {
    const Gradients d = gradients(load(gate + i), load(up + i), load(dy + i));
    store(dgate + i, d.gate);
    store(dup + i, d.up);
  }
  const int left = static_cast<int>(range.end - i);
  if (left > 0) {
    const Gradients d = gradients(load_part(gate + i, left), load_part(up + i, left), load_part(dy + i, left));
    store_part(dgate + i, d.gate, left);
    store_part(dup + i, d.up, left);
  }
}

}  // namespace margay::cpu::MARGAY_ISA
