// linear and quantize_rows. Which product is taken depends on shapes and types alone, never on the number of threads.
#include "ops/linear/float_dot.h"
#include "ops/linear/gemm.h"
#include "ops/linear/int8_dot.h"
#include "ops/linear/int8_tile.h"
#include "ops/linear/level_dot.h"
#include "ops/params.h"

namespace margay::cpu::MARGAY_ISA {

using namespace simd;

// The same arithmetic as quantize_activation(), a register at a time.
static void quantize_row(const float* x, int64_t columns, char* out) {
  int8_t* q = reinterpret_cast<int8_t*>(out);
  char *scale = out + columns, *offset = scale + columns / 8;
  for (int64_t b = 0; b < columns / 32; ++b, x += 32, q += 32) {
    F32 largest = zero();
    for (int i = 0; i < 32; i += kWidth) {
      const F32 v = load(x + i);
      largest = max(max(v, zero() - v), largest);
    }
    const float magnitude = max_lane(largest);
    const bool tiny = magnitude < kSmallestActivation;
    const float inverse = tiny ? 0 : 127 / magnitude, d = tiny ? 0 : magnitude / 127;
    F32 sum = zero();  // of integers: exact
    for (int i = 0; i < 32; i += kWidth) {
      const I32 v = round_to_int(load(x + i) * inverse);
      sum += __builtin_convertvector(v, F32);
      store_saturated(q + i, v);
    }
    const float lanes = simd::sum(sum);
    const int32_t offset_of_block =
        fabsf(lanes) <= 32 * 127 ? -8 * static_cast<int32_t>(lanes) : 0;  // 0: infinity or NaN in x
    memcpy(scale + 4 * b, &d, 4);
    memcpy(offset + 4 * b, &offset_of_block, 4);
  }
}

void quantize_rows_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const View& x = args.in[0];
  const int64_t columns = row_length(x.shape), bytes = activation_row_bytes(columns);
  const Range rows = share(row_count(x.shape), 1, thread, threads);
  for (int64_t r = rows.begin; r < rows.end; ++r)
    quantize_row(data<const float>(x) + r * columns, columns, data<char>(args.out[0]) + r * bytes);
}

void linear_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const View &x = args.in[0], &w = args.in[1];
  const int64_t n = w.shape.dim[0], k = w.shape.dim[1], count = row_count(x.shape);
  float* y = data<float>(args.out[0]);
  char* memory = scratch(args, thread);
  if (x.dtype == DType::Q8_ACT) {
    if (linear::level_dot_products(w.dtype, w.data, x.data, count, k, y, n, share(n, 1, thread, threads), memory))
      return;
#if defined(MARGAY_INT8)
    if (count > kFewRows)
      return linear::int8_tile_products(w.dtype, w.data, x.data, count, k, y, n,
                                        share(n, linear::kTileWeights, thread, threads), memory);
#endif
    return linear::int8_dot_products(w.dtype, w.data, x.data, count, k, y, n, share(n, 1, thread, threads), memory);
  }
  if (count <= kFewRows)
    return linear::float_dot_products(w.dtype, data<const char>(w), data<const float>(x), count, k, y, n,
                                      share(n, 1, thread, threads), reinterpret_cast<float*>(memory));
  const linear::Gemm product = {data<const float>(x), k, 1, w.data, w.dtype, k, true, y, n, count, n, k};
  linear::gemm(product, reinterpret_cast<float*>(memory), thread, threads);
}

}  // namespace margay::cpu::MARGAY_ISA
