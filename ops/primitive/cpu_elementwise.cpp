// Kernels of unary, binary and affine.
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

constexpr int64_t kGrain = 256;  // a few cache lines, a multiple of every width

template <class F>
MARGAY_INLINE void map(const KernelArgs& args, int thread, int threads, F f) {
  const float* x = data<float>(args.in[0]);
  float* y = data<float>(args.out[0]);
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) store(y + i, f(load(x + i)));
  const int left = static_cast<int>(range.end - i);
  if (left > 0) store_part(y + i, f(load_part(x + i, left, 1)), left);
}

F32 log_lanes(F32 x) {
  F32 y = simd::zero();
  for (int lane = 0; lane < kWidth; ++lane) y[lane] = __builtin_logf(x[lane]);
  return y;
}

F32 sqrt_lanes(F32 x) {
  F32 y = simd::zero();
  for (int lane = 0; lane < kWidth; ++lane) y[lane] = __builtin_sqrtf(x[lane]);
  return y;
}

// Two shapes broadcast together: axes of the output with the step of each input along them (0: repeated). Neighbouring
// axes are one where both inputs walk on evenly, so that equal shapes, a trailing suffix and a single element all
// become one or two long axes.
struct Broadcast {
  int rank = 0;
  int64_t dim[kMaxRank] = {1, 1, 1, 1}, a[kMaxRank] = {}, b[kMaxRank] = {};
};

Broadcast broadcast(const Shape& a, const Shape& b, const Shape& out) {
  Broadcast axes;
  int64_t step_a = 1, step_b = 1;
  for (int i = out.rank - 1; i >= 0; --i) {  // collected from the last axis, reversed below
    const int ia = i - (out.rank - a.rank), ib = i - (out.rank - b.rank);
    const int64_t dim_a = ia < 0 ? 1 : a.dim[ia], dim_b = ib < 0 ? 1 : b.dim[ib];
    if (out.dim[i] == 1) continue;
    const int64_t sa = dim_a == 1 ? 0 : step_a, sb = dim_b == 1 ? 0 : step_b;
    step_a *= dim_a, step_b *= dim_b;
    const int last = axes.rank - 1;
    if (last >= 0 && sa == axes.a[last] * axes.dim[last] && sb == axes.b[last] * axes.dim[last]) {
      axes.dim[last] *= out.dim[i];
    } else {
      axes.dim[axes.rank] = out.dim[i], axes.a[axes.rank] = sa, axes.b[axes.rank] = sb;
      ++axes.rank;
    }
  }
  if (axes.rank == 0) axes.rank = 1;
  for (int i = 0, j = axes.rank - 1; i < j; ++i, --j) {
    const int64_t dim = axes.dim[i], step_of_a = axes.a[i], step_of_b = axes.b[i];
    axes.dim[i] = axes.dim[j], axes.a[i] = axes.a[j], axes.b[i] = axes.b[j];
    axes.dim[j] = dim, axes.a[j] = step_of_a, axes.b[j] = step_of_b;
  }
  return axes;
}

// Part of a row; the inputs step by one element or repeat one.
template <bool kStepA, bool kStepB, class F>
MARGAY_INLINE void row(float* y, const float* a, const float* b, int64_t n, F f) {
  const F32 one_a = splat(*a), one_b = splat(*b);
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, f(kStepA ? load(a + i) : one_a, kStepB ? load(b + i) : one_b));
  const int left = static_cast<int>(n - i);
  if (left > 0)
    store_part(y + i, f(kStepA ? load_part(a + i, left, 1) : one_a, kStepB ? load_part(b + i, left, 1) : one_b), left);
}

template <class F>
MARGAY_INLINE void map_two(const KernelArgs& args, int thread, int threads, F f) {
  const Broadcast axes = broadcast(args.in[0].shape, args.in[1].shape, args.out[0].shape);
  const int last = axes.rank - 1;
  const int64_t length = axes.dim[last];
  const Range range = share(elements(args.out[0].shape), kGrain, thread, threads);
  for (int64_t at = range.begin; at < range.end;) {
    const int64_t column = at % length, rest = range.end - at;
    const int64_t n = length - column < rest ? length - column : rest;
    const float* a = data<float>(args.in[0]) + column * axes.a[last];
    const float* b = data<float>(args.in[1]) + column * axes.b[last];
    int64_t outer = at / length;
    for (int i = last - 1; i >= 0; --i) {
      const int64_t index = outer % axes.dim[i];
      outer /= axes.dim[i];
      a += index * axes.a[i], b += index * axes.b[i];
    }
    float* y = data<float>(args.out[0]) + at;
    if (axes.a[last] && axes.b[last]) row<true, true>(y, a, b, n, f);
    else if (axes.a[last]) row<true, false>(y, a, b, n, f);
    else row<false, true>(y, a, b, n, f);
    at += n;
  }
}

}  // namespace

void unary_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  switch (params<UnaryParams>(args).kind) {
    case UnaryKind::kExp:
      return map(args, thread, threads, [](F32 x) { return simd::exp(x); });
    case UnaryKind::kLog:
      return map(args, thread, threads, [](F32 x) { return log_lanes(x); });
    case UnaryKind::kSqrt:
      return map(args, thread, threads, [](F32 x) { return sqrt_lanes(x); });
    case UnaryKind::kReciprocal:
      return map(args, thread, threads, [](F32 x) { return splat(1) / x; });
    case UnaryKind::kSigmoid:
      return map(args, thread, threads, [](F32 x) { return splat(1) / (simd::exp(-x) + splat(1)); });
    case UnaryKind::kRelu:
      return map(args, thread, threads, [](F32 x) { return simd::max(x, simd::zero()); });
  }
}

void binary_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  switch (params<BinaryParams>(args).kind) {
    case BinaryKind::kAdd:
      return map_two(args, thread, threads, [](F32 a, F32 b) { return a + b; });
    case BinaryKind::kSubtract:
      return map_two(args, thread, threads, [](F32 a, F32 b) { return a - b; });
    case BinaryKind::kMultiply:
      return map_two(args, thread, threads, [](F32 a, F32 b) { return a * b; });
    case BinaryKind::kDivide:
      return map_two(args, thread, threads, [](F32 a, F32 b) { return a / b; });
    case BinaryKind::kMaximum:
      return map_two(args, thread, threads, [](F32 a, F32 b) { return simd::max(a, b); });
  }
}

void affine_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const F32 factor = splat(params<AffineParams>(args).factor), offset = splat(params<AffineParams>(args).offset);
  map(args, thread, threads, [=](F32 x) { return x * factor + offset; });
}

}  // namespace margay::cpu::MARGAY_ISA
