#include "ops/kernel.h"
#include "ops/quant/unpack.h"

namespace margay::cpu::MARGAY_ISA {

void embedding_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const View &table = args.in[0], &ids = args.in[1];
  const int64_t columns = row_length(table.shape), bytes = simd::weight_row_bytes(table.dtype, columns);
  const Range tokens = share(elements(ids.shape), 1, thread, threads);
  for (int64_t t = tokens.begin; t < tokens.end; ++t)
    simd::unpack(table.dtype, data<const char>(table) + data<const int32_t>(ids)[t] * bytes, 0, columns,
                 data<float>(args.out[0]) + t * columns);
}

}  // namespace margay::cpu::MARGAY_ISA
