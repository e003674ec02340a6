// Kernels of rms_norm: a thread has whole rows.
#include "ops/kernel.h"
#include "ops/norm/norm.h"
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

// Calls f(i, n) for the vectors of a row: n lanes from element i.
template <class F>
MARGAY_INLINE void each_vector(int64_t length, F f) {
  int64_t i = 0;
  for (; i + kWidth <= length; i += kWidth) f(i, kWidth);
  if (i < length) f(i, static_cast<int>(length - i));
}

MARGAY_INLINE F32 load_lanes(const float* p, int n) { return n == kWidth ? load(p) : load_part(p, n); }
MARGAY_INLINE void store_lanes(float* p, F32 v, int n) {
  if (n == kWidth) store(p, v);
  else store_part(p, v, n);
}

// 1 / sqrt(mean(x^2) + epsilon)
float inverse_rms(const float* x, int64_t length, float epsilon) {
  return 1 / __builtin_sqrtf(simd::dot(x, x, length) / static_cast<float>(length) + epsilon);
}

}  // namespace

void rms_norm_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const int64_t length = row_length(args.in[0].shape);
  const float epsilon = params<RmsNormParams>(args).epsilon;
  const float* weight = data<float>(args.in[1]);
  const Range rows = share(row_count(args.in[0].shape), 1, thread, threads);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = data<float>(args.in[0]) + row * length;
    float* y = data<float>(args.out[0]) + row * length;
    const float r = inverse_rms(x, length, epsilon);
    each_vector(length,
                [&](int64_t i, int n) { store_lanes(y + i, load_lanes(x + i, n) * r * load_lanes(weight + i, n), n); });
  }
}

// With r = 1 / rms:  dx = r (w dy) - x r^3 / C sum(w dy x);  dw = sum over rows of dy x r.
void rms_norm_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const RmsNormGradParams& p = params<RmsNormGradParams>(args);
  const int64_t length = row_length(args.in[1].shape), rows = row_count(args.in[1].shape);
  const float* weight = data<float>(args.in[2]);
  const Range runs = share(rows, kNormRowsOfPartial, thread, threads);
  for (int64_t row = runs.begin; row < runs.end; ++row) {
    const float* dy = data<float>(args.in[0]) + row * length;
    const float* x = data<float>(args.in[1]) + row * length;
    const float r = inverse_rms(x, length, p.epsilon);
    if (p.wanted & 2) {  // before dx, which may overwrite dy
      float* partial = data<float>(args.out[1]) + row / kNormRowsOfPartial * length;
      const bool first = row % kNormRowsOfPartial == 0;
      each_vector(length, [&](int64_t i, int n) {
        const F32 before = first ? simd::zero() : load_lanes(partial + i, n);
        store_lanes(partial + i, load_lanes(dy + i, n) * load_lanes(x + i, n) * r + before, n);
      });
    }
    if (p.wanted & 1) {
      F32 product = simd::zero();
      each_vector(length, [&](int64_t i, int n) {
        product += load_lanes(weight + i, n) * load_lanes(dy + i, n) * load_lanes(x + i, n);
      });
      const float factor = simd::sum(product) * r * r * r / static_cast<float>(length);
      float* dx = data<float>(args.out[0]) + row * length;
      each_vector(length, [&](int64_t i, int n) {
        const F32 direct = load_lanes(weight + i, n) * load_lanes(dy + i, n) * r;
        store_lanes(dx + i, direct - load_lanes(x + i, n) * factor, n);
      });
    }
  }
}

}  // namespace margay::cpu::MARGAY_ISA
