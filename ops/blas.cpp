#include "ops/blas.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <type_traits>

namespace margay {
namespace {

constexpr int kRowMajor = 101, kAsIs = 111, kTransposed = 112;  // of cblas.h

struct Blas {
  void (*sgemm)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*,
                int) = nullptr;
  const char* core = nullptr;
};

// Debian's OpenBLAS does not know CPUs newer than itself and falls back to kernels for SSE3 (33 instead of 170
// GFLOP/s); it reads its variable when it is loaded.
void name_the_core() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  const char* core = avx512 ? "SkylakeX" : __builtin_cpu_supports("avx2") ? "Haswell" : nullptr;
  if (core) setenv("OPENBLAS_CORETYPE", core, 0);
#endif
  setenv("OPENBLAS_NUM_THREADS", "1", 1);  // no pool of its own
}

Blas open_blas() {
  Blas blas;
  name_the_core();
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return blas;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
  };
  void (*set_threads)(int) = nullptr;
  char* (*core_name)() = nullptr;
  find(set_threads, "openblas_set_num_threads");
  find(core_name, "openblas_get_corename");
  find(blas.sgemm, "cblas_sgemm");
  if (set_threads) set_threads(1);
  blas.core = core_name ? core_name() : "unknown";
  return blas;
}

const Blas& blas() {
  static const Blas opened = open_blas();
  return opened;
}

}  // namespace

const char* blas_core() { return blas().sgemm ? blas().core : nullptr; }

bool blas_multiply(bool transpose_a, bool transpose_b, int m, int n, int k, const float* a, const float* b, float* c) {
  if (!blas().sgemm) return false;
  blas().sgemm(kRowMajor, transpose_a ? kTransposed : kAsIs, transpose_b ? kTransposed : kAsIs, m, n, k, 1, a,
               transpose_a ? m : k, b, transpose_b ? k : n, 0, c, n);
  return true;
}

}  // namespace margay
