// aged_keys, its gradient, and window_mask.
#include "ops/attention/state.h"
#include "ops/kernel.h"
#include "ops/params.h"
#include "ops/simd/vec.h"

namespace margay::cpu::MARGAY_ISA {

void aged_keys_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const AgedKeysParams& p = params<AgedKeysParams>(args);
  const Shape& shape = args.in[0].shape;
  const int64_t tokens = shape.dim[1], kv_heads = shape.dim[2], d = shape.dim[3], row = kv_heads * d;
  const LinearStateLayout layout{p.heads, kv_heads, d, p.features, p.window};
  const Range range = share(shape.dim[0] * tokens, 1, thread, threads);
  for (int64_t i = range.begin; i < range.end; ++i) {
    const int64_t b = i / tokens, position = p.stateful ? data<int32_t>(args.in[1])[b] : 0;
    const int64_t key = position + i % tokens - p.age;
    const size_t bytes = static_cast<size_t>(row) * sizeof(float);
    float* to = data<float>(args.out[0]) + i * row;
    if (key < 0) memset(to, 0, bytes);
    else if (key >= position) memcpy(to, data<float>(args.in[0]) + (b * tokens + key - position) * row, bytes);
    else memcpy(to, state_data<float>(args.in[2], b) + layout.ring_k() + key % layout.ring() * row, bytes);
  }
}

void aged_keys_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const AgedKeysParams& p = params<AgedKeysParams>(args);
  const Shape& shape = args.in[0].shape;
  const int64_t tokens = shape.dim[1], row = shape.dim[2] * shape.dim[3];
  const Range range = share(shape.dim[0] * tokens, 1, thread, threads);
  for (int64_t i = range.begin; i < range.end; ++i) {
    const size_t bytes = static_cast<size_t>(row) * sizeof(float);
    float* to = data<float>(args.out[0]) + i * row;
    if (i % tokens + p.age < tokens) memcpy(to, data<float>(args.in[0]) + (i + p.age) * row, bytes);
    else memset(to, 0, bytes);
  }
}

void window_mask_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const WindowMaskParams& p = params<WindowMaskParams>(args);
  const Range range = share(p.tokens, 1, thread, threads);
  for (int64_t n = range.begin; n < range.end; ++n)
    for (int64_t j = 0; j < p.tokens; ++j)
      data<float>(args.out[0])[n * p.tokens + j] = window_has(p.kind, p.window, p.phase, p.linear != 0, n, j) ? 1 : 0;
}

}  // namespace margay::cpu::MARGAY_ISA
