// Kernels of accumulate and adamw: one pass, element by element.
#include "ops/kernel.h"
#include "ops/params.h"
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

MARGAY_INLINE F32 square_root(F32 x) {
  F32 y = simd::zero();
  for (int lane = 0; lane < kWidth; ++lane) y[lane] = __builtin_sqrtf(x[lane]);
  return y;
}

// The step's numbers, in double until here: 1 - beta^step loses all its digits in float32 when beta is near 1.
struct Factors {
  float keep;  // 1 - rate * decay
  float m_old, m_new, v_old, v_new;
  float rate;  // rate / (1 - beta1^step)
  float root;  // 1 / sqrt(1 - beta2^step)
  float epsilon;
};

struct Element {
  F32 parameter, m, v;
};

MARGAY_INLINE Element update(F32 parameter, F32 gradient, F32 m, F32 v, const Factors& f) {
  const F32 new_m = m * f.m_old + gradient * f.m_new;
  const F32 new_v = v * f.v_old + gradient * gradient * f.v_new;
  const F32 step = new_m * f.rate / (square_root(new_v) * f.root + f.epsilon);
  return {parameter * f.keep - step, new_m, new_v};
}

}  // namespace

void accumulate_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const float* x = data<float>(args.in[1]);
  float* y = data<float>(args.out[0]);
  const F32 factor = splat(params<AccumulateParams>(args).factor);
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) store(y + i, load(x + i) * factor + load(y + i));
  const int left = static_cast<int>(range.end - i);
  if (left > 0) store_part(y + i, load_part(x + i, left) * factor + load_part(y + i, left), left);
}

void adamw_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const AdamWParams& p = params<AdamWParams>(args);
  const double rate = double(data<float>(args.in[4])[0]), step = double(data<float>(args.in[4])[1]);
  const double beta1 = double(p.beta1), beta2 = double(p.beta2);
  const Factors factors = {
      .keep = static_cast<float>(1 - rate * double(p.weight_decay)),
      .m_old = p.beta1,
      .m_new = static_cast<float>(1 - beta1),
      .v_old = p.beta2,
      .v_new = static_cast<float>(1 - beta2),
      .rate = static_cast<float>(rate / (1 - __builtin_pow(beta1, step))),
      .root = static_cast<float>(1 / __builtin_sqrt(1 - __builtin_pow(beta2, step))),
      .epsilon = p.epsilon,
  };
  float *parameter = data<float>(args.out[0]), *m = data<float>(args.out[1]), *v = data<float>(args.out[2]);
  const float* gradient = data<float>(args.in[1]);
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) {
    const Element e = update(load(parameter + i), load(gradient + i), load(m + i), load(v + i), factors);
    store(parameter + i, e.parameter);
    store(m + i, e.m);
    store(v + i, e.v);
  }
  const int n = static_cast<int>(range.end - i);
  if (n > 0) {
    const Element e = update(load_part(parameter + i, n), load_part(gradient + i, n), load_part(m + i, n),
                             load_part(v + i, n), factors);
    store_part(parameter + i, e.parameter, n);
    store_part(m + i, e.m, n);
    store_part(v + i, e.v, n);
  }
}

}  // namespace margay::cpu::MARGAY_ISA
