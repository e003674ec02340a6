// OpenBLAS, opened at run time where it is installed: a yardstick for our own float32 products.
//
// The kernels do not call it. One thread of an Emerald Rapids server (float32 peak 190 GFLOP/s), x [1024, K] times a
// weight NxK:
//
//   GFLOP/s             384x384  1024x384  384x1024  8192x384  LoRA 8x384  LoRA 1024x8
//   ops/linear/gemm.h       169       163       160       144          62           54
//   OpenBLAS 0.3.21         169       170       167       163          53           39
//
// and ours takes weights of any type and gives the same bits for any number of threads. C headers only.
#pragma once
#include <stdint.h>

namespace margay {

// Name of the kernels that OpenBLAS chose ("SkylakeX"), or nullptr where the library is absent.
const char* blas_core();

// c [m, n] = a [m, k] * b [k, n], row-major, on the calling thread alone; transposed sides are stored [k, m] or [n, k].
// False where the library is absent.
bool blas_multiply(bool transpose_a, bool transpose_b, int m, int n, int k, const float* a, const float* b, float* c);

}  // namespace margay
