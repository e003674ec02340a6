// Compiled once for each instruction set.
#include "runtime/peaks.h"

#include "ops/simd/int8.h"
#include "ops/simd/vec.h"

namespace margay::peaks::MARGAY_ISA {

using namespace simd;

constexpr int kSums = 12;  // independent chains: more than latency times ports, few enough for 16 registers

static float read_all(const float* p, int64_t floats) {
  constexpr int kStreams = 8;
  F32 sum[kStreams];
  for (int s = 0; s < kStreams; ++s) sum[s] = zero();
  for (int64_t i = 0; i < floats; i += kStreams * kWidth)
    for (int s = 0; s < kStreams; ++s) sum[s] += load(p + i + s * kWidth);
  for (int s = 1; s < kStreams; ++s) sum[0] += sum[s];
  return simd::sum(sum[0]);
}

static float fma_rounds(int64_t rounds, float a, float b) {
  const F32 factor = splat(a), offset = splat(b);
  F32 sum[kSums];
  for (int s = 0; s < kSums; ++s) sum[s] = splat(static_cast<float>(s));
  for (int64_t i = 0; i < rounds; ++i)
    for (int s = 0; s < kSums; ++s) sum[s] = sum[s] * factor + offset;
  for (int s = 1; s < kSums; ++s) sum[0] += sum[s];
  return simd::sum(sum[0]);
}

static int32_t int8_rounds(int64_t rounds, int32_t seed) {
  Bytes x = splat_dword(seed);
  I32 sum[kSums];
  for (int s = 0; s < kSums; ++s) sum[s] = s - I32{};
  const Bytes u = low_nibbles(x);
  for (int64_t i = 0; i < rounds; ++i)
    for (int s = 0; s < kSums; ++s) {
      // Or the product would be computed once.
#if defined(__x86_64__)
      asm volatile("" : "+v"(x));
#elif defined(__aarch64__)
      asm volatile("" : "+w"(x));
#endif
      sum[s] = most_products(sum[s], u, x);
    }
  for (int s = 1; s < kSums; ++s) sum[0] += sum[s];
  return sum[0][0];
}

extern const Peaks table;
const Peaks table = {
    read_all, fma_rounds, int8_rounds, 2.0 * kSums* kWidth, 2.0 * kSums* kMostProducts,
};

}  // namespace margay::peaks::MARGAY_ISA
