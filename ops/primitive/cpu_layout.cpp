// Kernels of reshape, permute, slice and concat. float32 and int32 both move as words of four bytes.
#include "ops/kernel.h"
#include "ops/params.h"
#include "ops/simd/vec.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

constexpr int64_t kGrain = 256;

// Runs of `run` words, one at every from_step of `from` to every to_step of `to`; words [range) of all runs together.
void copy_runs(uint32_t* to, int64_t to_step, const uint32_t* from, int64_t from_step, int64_t run, Range range) {
  for (int64_t at = range.begin; at < range.end;) {
    const int64_t index = at / run, offset = at % run, rest = range.end - at;
    const int64_t n = run - offset < rest ? run - offset : rest;
    memcpy(to + index * to_step + offset, from + index * from_step + offset, static_cast<size_t>(n) * 4);
    at += n;
  }
}

// Elements before, of and after an axis.
int64_t outer_count(const Shape& shape, int axis) {
  int64_t n = 1;
  for (int i = 0; i < axis; ++i) n *= shape.dim[i];
  return n;
}
int64_t inner_count(const Shape& shape, int axis) {
  int64_t n = 1;
  for (int i = axis + 1; i < shape.rank; ++i) n *= shape.dim[i];
  return n;
}

}  // namespace

void reshape_kernel(const KernelArgs&, int, int) noexcept {}  // the output is the input's memory

void permute_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const Shape &in = args.in[0].shape, &out = args.out[0].shape;
  const int32_t* order = params<PermuteParams>(args).order;
  int64_t in_step[kMaxRank] = {}, step[kMaxRank] = {};
  int64_t next = 1;
  for (int i = in.rank - 1; i >= 0; --i) {
    in_step[i] = next;
    next *= in.dim[i];
  }
  for (int i = 0; i < out.rank; ++i) step[i] = in_step[order[i]];
  const int last = out.rank - 1;
  const int64_t length = row_length(out), last_step = last < 0 ? 1 : step[last];
  const Range range = share(elements(out), kGrain, thread, threads);
  for (int64_t at = range.begin; at < range.end;) {
    const int64_t column = at % length, rest = range.end - at;
    const int64_t n = length - column < rest ? length - column : rest;
    const uint32_t* from = data<uint32_t>(args.in[0]) + column * last_step;
    int64_t outer = at / length;
    for (int i = last - 1; i >= 0; --i) {
      from += outer % out.dim[i] * step[i];
      outer /= out.dim[i];
    }
    uint32_t* to = data<uint32_t>(args.out[0]) + at;
    if (last_step == 1) memcpy(to, from, static_cast<size_t>(n) * 4);
    else
      for (int64_t i = 0; i < n; ++i) to[i] = from[i * last_step];
    at += n;
  }
}

void slice_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const SliceParams& p = params<SliceParams>(args);
  const Shape& in = args.in[0].shape;
  const int64_t inner = inner_count(in, p.axis);
  copy_runs(data<uint32_t>(args.out[0]), p.size * inner, data<uint32_t>(args.in[0]) + p.begin * inner,
            in.dim[p.axis] * inner, p.size * inner, share(elements(args.out[0].shape), kGrain, thread, threads));
}

void concat_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const int axis = params<ConcatParams>(args).axis;
  const Shape& out = args.out[0].shape;
  const int64_t inner = inner_count(out, axis), outer = outer_count(out, axis), out_run = out.dim[axis] * inner;
  uint32_t* to = data<uint32_t>(args.out[0]);
  for (int i = 0; i < 2; ++i) {
    const int64_t run = args.in[i].shape.dim[axis] * inner;
    copy_runs(to, out_run, data<uint32_t>(args.in[i]), run, run, share(outer * run, kGrain, thread, threads));
    to += run;
  }
}

}  // namespace margay::cpu::MARGAY_ISA
