// What a kernel sees: plain memory. C headers only and internal linkage throughout, so that no function compiled for a
// newer CPU can become the copy that the linker keeps (tests/ops/kernel_symbols_test checks it).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"

namespace margay {

constexpr int kMaxRank = 4;

// Row-major: dim[rank - 1] is contiguous. A GGUF tensor's ne, reversed.
struct Shape {
  int32_t rank = 0;
  int64_t dim[kMaxRank] = {1, 1, 1, 1};
};

// A tensor's memory, contiguous. For a state, `data` is a table of pointers, one a sequence: see state_data().
struct View {
  void* data;
  Shape shape;
  DType dtype;
};

struct KernelArgs {
  const View* in;
  const View* out;
  const void* params;  // the op's POD of ops/params.h
  char* scratch;       // 64-byte aligned, scratch_stride bytes for each thread (OpInfo::scratch of them are ours)
  size_t scratch_stride;
};

// Thread `thread` of `threads` does its share. Shares are cut by index alone and no sum may depend on `threads`, so
// that the result has the same bits for any number of threads. Never allocates, never throws.
using Kernel = void (*)(const KernelArgs& args, int thread, int threads) noexcept;

template <class T>
static inline T* data(const View& view) {
  return static_cast<T*>(view.data);
}

template <class T>
static inline const T& params(const KernelArgs& args) {
  return *static_cast<const T*>(args.params);
}

// Memory of sequence b's state.
template <class T>
static inline T* state_data(const View& view, int64_t b) {
  return static_cast<T*>(static_cast<void* const*>(view.data)[b]);
}

static inline char* scratch(const KernelArgs& args, int thread) {
  return args.scratch + args.scratch_stride * static_cast<size_t>(thread);
}

static inline int64_t elements(const Shape& shape) {
  int64_t n = 1;
  for (int i = 0; i < shape.rank; ++i) n *= shape.dim[i];
  return n;
}

// Last dimension, and the number of rows of that length.
static inline int64_t row_length(const Shape& shape) { return shape.rank ? shape.dim[shape.rank - 1] : 1; }
static inline int64_t row_count(const Shape& shape) {
  int64_t n = 1;
  for (int i = 0; i + 1 < shape.rank; ++i) n *= shape.dim[i];
  return n;
}

struct Range {
  int64_t begin, end;
};

// This thread's part of [0, n), in units of `grain` (the last may be short).
static inline Range share(int64_t n, int64_t grain, int thread, int threads) {
  const int64_t units = (n + grain - 1) / grain;
  const int64_t begin = units * thread / threads * grain, end = units * (thread + 1) / threads * grain;
  return {begin < n ? begin : n, end < n ? end : n};
}

}  // namespace margay
