// Kernels of the losses.
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
constexpr int64_t kPiece = 2048;  // elements summed in float32; pieces are summed in double

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

float maximum(const float* x, int64_t n) {
  F32 m0 = splat(-__builtin_inff()), m1 = m0;
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    m0 = simd::max(m0, load(x + i));
    m1 = simd::max(m1, load(x + i + kWidth));
  }
  for (; i < n; i += kWidth)
    m0 = simd::max(m0, load_part(x + i, static_cast<int>(smaller(n - i, kWidth)), -__builtin_inff()));
  return simd::max_lane(simd::max(m0, m1));
}

float sum_exp(const float* x, int64_t n, float shift) {
  F32 s0 = simd::zero(), s1 = s0;
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    s0 += simd::exp(load(x + i) - shift);
    s1 += simd::exp(load(x + i + kWidth) - shift);
  }
  for (; i < n; i += kWidth)
    s0 += simd::exp(load_part(x + i, static_cast<int>(smaller(n - i, kWidth)), -__builtin_inff()) - shift);
  return simd::sum(s0 + s1);
}

// log(sum(exp(x))) in one pass over memory: each piece is read for its maximum and, from the cache, for its sum.
double log_sum_exp(const float* x, int64_t n) {
  float shift = -__builtin_inff();
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += kPiece) {
    const int64_t length = smaller(kPiece, n - begin);
    const float highest = maximum(x + begin, length);
    if (highest > shift) {
      sum *= __builtin_exp(double(shift) - double(highest));
      shift = highest;
    }
    sum += double(sum_exp(x + begin, length, shift));
  }
  return double(shift) + __builtin_log(sum);
}

}  // namespace

void cross_entropy_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const int64_t vocabulary = args.in[0].shape.dim[1];
  const int32_t* targets = data<int32_t>(args.in[1]);
  float *loss = data<float>(args.out[0]), *lse = data<float>(args.out[1]);
  const Range rows = share(args.in[0].shape.dim[0], 1, thread, threads);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* logits = data<float>(args.in[0]) + row * vocabulary;
    const int32_t target = targets[row];
    const double value = log_sum_exp(logits, vocabulary);
    lse[row] = static_cast<float>(value);
    if (target < 0) loss[row] = 0;
    else if (target < vocabulary) loss[row] = static_cast<float>(value - double(logits[target]));
    else loss[row] = __builtin_nanf("");  // no such token: a kernel cannot throw, but must not read beyond the row
  }
}

void cross_entropy_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const int64_t vocabulary = args.in[0].shape.dim[1];
  const int32_t* targets = data<int32_t>(args.in[1]);
  const float *lse = data<float>(args.in[2]), *dloss = data<float>(args.in[3]);
  const Range rows = share(args.in[0].shape.dim[0], 1, thread, threads);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = data<float>(args.in[0]) + row * vocabulary;
    float* dx = data<float>(args.out[0]) + row * vocabulary;
    if (targets[row] < 0) {
      memset(dx, 0, static_cast<size_t>(vocabulary) * sizeof(float));
      continue;
    }
    const float shift = lse[row], factor = dloss[row];
    int64_t i = 0;
    for (; i + kWidth <= vocabulary; i += kWidth) store(dx + i, simd::exp(load(x + i) - shift) * factor);
    const int left = static_cast<int>(vocabulary - i);
    if (left > 0) store_part(dx + i, simd::exp(load_part(x + i, left) - shift) * factor, left);
    if (targets[row] < vocabulary) dx[targets[row]] -= factor;
  }
}

// Thread 0 alone: one number, whose bits must not depend on the number of threads; a layer's outputs take 0.1 ms.
void mean_squared_error_kernel(const KernelArgs& args, int thread, int) noexcept {
  if (thread != 0) return;
  const float *a = data<float>(args.in[0]), *b = data<float>(args.in[1]);
  const int64_t n = elements(args.in[0].shape);
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kPiece) {
    const int64_t end = smaller(begin + kPiece, n);
    F32 s0 = simd::zero(), s1 = s0;
    int64_t i = begin;
    for (; i + 2 * kWidth <= end; i += 2 * kWidth) {
      const F32 d0 = load(a + i) - load(b + i), d1 = load(a + i + kWidth) - load(b + i + kWidth);
      s0 += d0 * d0;
      s1 += d1 * d1;
    }
    for (; i < end; i += kWidth) {
      const int left = static_cast<int>(smaller(end - i, kWidth));
      const F32 d = load_part(a + i, left) - load_part(b + i, left);
      s0 += d * d;
    }
    total += double(simd::sum(s0 + s1));
  }
  data<float>(args.out[0])[0] = static_cast<float>(total / static_cast<double>(n));
}

void mean_squared_error_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const float *a = data<float>(args.in[0]), *b = data<float>(args.in[1]);
  float* da = data<float>(args.out[0]);
  const int64_t n = elements(args.in[0].shape);
  const float factor = static_cast<float>(2 * double(data<float>(args.in[2])[0]) / static_cast<double>(n));
  const Range range = share(n, kGrain, thread, threads);
  int64_t i = range.begin;
  for (; i + kWidth <= range.end; i += kWidth) store(da + i, (load(a + i) - load(b + i)) * factor);
  const int left = static_cast<int>(range.end - i);
  if (left > 0) store_part(da + i, (load_part(a + i, left) - load_part(b + i, left)) * factor, left);
}

}  // namespace margay::cpu::MARGAY_ISA
