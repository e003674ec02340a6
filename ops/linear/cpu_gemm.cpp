// The float32 matrix products: linear's gradient and matmul.
#include "ops/linear/gemm.h"
#include "ops/params.h"

namespace margay::cpu::MARGAY_ISA {

// dx [..., K] = dy [..., N] * W [N, K]
void linear_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const View &dy = args.in[0], &w = args.in[1];
  const int64_t n = w.shape.dim[0], k = w.shape.dim[1];
  const linear::Gemm product = {data<const float>(dy), n, 1, w.data, w.dtype, k, false, data<float>(args.out[0]), k,
                                row_count(dy.shape),   k, n};
  linear::gemm(product, reinterpret_cast<float*>(scratch(args, thread)), thread, threads);
}

void matmul_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const View &a = args.in[0], &b = args.in[1], &c = args.out[0];
  const auto& p = params<MatMulParams>(args);
  const int rank = c.shape.rank;
  const int64_t m = c.shape.dim[rank - 2], n = c.shape.dim[rank - 1];
  const int64_t a_columns = row_length(a.shape), b_columns = row_length(b.shape);
  const int64_t k = p.transpose_a ? a.shape.dim[a.shape.rank - 2] : a_columns;
  int64_t batches = 1;
  for (int i = 0; i + 2 < rank; ++i) batches *= c.shape.dim[i];
  // Matrix of the input that batch number `batch` of the output reads: axes of length 1 (or absent) are broadcast.
  const auto matrix = [&](const View& v, int64_t batch) {
    int64_t offset = 0, stride = v.shape.dim[v.shape.rank - 2] * v.shape.dim[v.shape.rank - 1];
    for (int i = 3; i <= rank; ++i) {
      const int64_t index = batch % c.shape.dim[rank - i];
      batch /= c.shape.dim[rank - i];
      if (i > v.shape.rank) break;
      const int64_t length = v.shape.dim[v.shape.rank - i];
      if (length > 1) offset += index * stride;
      stride *= length;
    }
    return data<const float>(v) + offset;
  };
  for (int64_t batch = 0; batch < batches; ++batch) {
    const linear::Gemm product = {matrix(a, batch),
                                  p.transpose_a ? 1 : a_columns,
                                  p.transpose_a ? a_columns : 1,
                                  matrix(b, batch),
                                  DType::F32,
                                  b_columns,
                                  p.transpose_b != 0,
                                  data<float>(c) + batch * m * n,
                                  n,
                                  m,
                                  n,
                                  k};
    linear::gemm(product, reinterpret_cast<float*>(scratch(args, thread)), thread, threads);
  }
}

}  // namespace margay::cpu::MARGAY_ISA
