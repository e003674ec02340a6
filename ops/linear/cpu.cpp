// linear and quantize_rows. Which product is taken depends on shapes and types alone, never on the number of threads.
#include "ops/linear/float_dot.h"
#include "ops/linear/gemm.h"
#include "ops/linear/int8_product.h"
#include "ops/params.h"
#include "ops/quant/quantize_row.h"

namespace margay::cpu::MARGAY_ISA {

using namespace simd;

void quantize_rows_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const View& x = args.in[0];
  const int64_t columns = row_length(x.shape), count = row_count(x.shape);
  const Range rows = share(count, kPanelRows, thread, threads);
  for (int64_t r = rows.begin; r < rows.end; ++r)
    quantize_row(data<const float>(x) + r * columns, columns, r, count, data<char>(args.out[0]));
}

void linear_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const View &x = args.in[0], &w = args.in[1];
  const int64_t n = w.shape.dim[0], k = w.shape.dim[1], count = row_count(x.shape);
  float* y = data<float>(args.out[0]);
  char* memory = scratch(args, thread);
  if (x.dtype == DType::Q8_ACT)
    return linear::int8_products(w.dtype, w.data, x.data, count, k, y, n, thread, threads, memory);
  if (count <= kFewRows)
    return linear::float_dot_products(w.dtype, data<const char>(w), data<const float>(x), count, k, y, n,
                                      share(n, 1, thread, threads), reinterpret_cast<float*>(memory));
  const linear::Gemm product = {data<const float>(x), k, 1, w.data, w.dtype, k, true, y, n, count, n, k};
  linear::gemm(product, reinterpret_cast<float*>(memory), thread, threads);
}

}  // namespace margay::cpu::MARGAY_ISA
