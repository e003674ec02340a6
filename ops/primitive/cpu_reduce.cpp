// Kernels of reduce and sum_to. Every output is folded by one thread in an order that only the shape decides.
#include "ops/kernel.h"
#include "ops/params.h"
#include "ops/simd/vec.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

using simd::F32;
using simd::kWidth;
using simd::load;
using simd::load_part;
using simd::splat;
using simd::store;

// Sums run in pieces of this many addends, so that rounding errors do not grow with the length.
constexpr int64_t kPiece = 2048;
constexpr int kColumns = 64;  // columns folded together

struct Sum {
  static constexpr float kNothing = 0;
  MARGAY_INLINE F32 join(F32 a, F32 b) { return a + b; }
  MARGAY_INLINE float join(float a, float b) { return a + b; }
  MARGAY_INLINE float lanes(F32 v) { return simd::sum(v); }
};

struct Max {
  static constexpr float kNothing = -__builtin_inff();
  MARGAY_INLINE F32 join(F32 a, F32 b) { return simd::max(a, b); }
  MARGAY_INLINE float join(float a, float b) { return a > b ? a : b; }
  MARGAY_INLINE float lanes(F32 v) { return simd::max_lane(v); }
};

// The axes of the input, neighbours of the same sort joined: they alternate, so beside the last one there are at most
// two that stay and two that are folded.
struct Fold {
  int64_t kept[2] = {1, 1}, kept_step[2] = {};
  int64_t folded[2] = {1, 1}, folded_step[2] = {};
  int64_t length = 1;  // of the last axis
  bool last_folded = false;
};

Fold make_fold(const Shape& in, const bool* folded) {
  int64_t dim[kMaxRank] = {}, step[kMaxRank] = {}, next_step = 1;
  bool fold[kMaxRank] = {};
  int count = 0;  // from the last axis
  for (int i = in.rank - 1; i >= 0; --i) {
    if (in.dim[i] == 1) continue;
    if (count > 0 && fold[count - 1] == folded[i]) {
      dim[count - 1] *= in.dim[i];
    } else {
      dim[count] = in.dim[i], step[count] = next_step, fold[count] = folded[i];
      ++count;
    }
    next_step *= in.dim[i];
  }
  Fold result;
  if (count == 0) return result;
  result.length = dim[0];
  result.last_folded = fold[0];
  int kept_at = 1, folded_at = 1;
  for (int i = 1; i < count; ++i) {
    if (fold[i]) result.folded[folded_at] = dim[i], result.folded_step[folded_at--] = step[i];
    else result.kept[kept_at] = dim[i], result.kept_step[kept_at--] = step[i];
  }
  return result;
}

template <class Op>
float fold_row(const float* x, int64_t n) {
  float total = Op::kNothing;
  for (int64_t begin = 0; begin < n; begin += kPiece) {
    const int64_t end = begin + kPiece < n ? begin + kPiece : n;
    F32 s0 = splat(Op::kNothing), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = begin;
    for (; i + 4 * kWidth <= end; i += 4 * kWidth) {
      s0 = Op::join(s0, load(x + i));
      s1 = Op::join(s1, load(x + i + kWidth));
      s2 = Op::join(s2, load(x + i + 2 * kWidth));
      s3 = Op::join(s3, load(x + i + 3 * kWidth));
    }
    for (; i + kWidth <= end; i += kWidth) s0 = Op::join(s0, load(x + i));
    if (i < end) s1 = Op::join(s1, load_part(x + i, static_cast<int>(end - i), Op::kNothing));
    total = Op::join(total, Op::lanes(Op::join(Op::join(s0, s1), Op::join(s2, s3))));
  }
  return total;
}

// y[0, n) joined with x's, n <= kColumns.
template <class Op>
MARGAY_INLINE void join_columns(float* y, const float* x, int n) {
  if (n == kColumns) {
    for (int i = 0; i < kColumns; i += kWidth) store(y + i, Op::join(load(y + i), load(x + i)));
  } else {
    for (int i = 0; i < n; ++i) y[i] = Op::join(y[i], x[i]);
  }
}

template <class Op>
void fold_columns(float* y, const float* x, int n, const Fold& fold) {
  float total[kColumns], piece[kColumns];
  for (int i = 0; i < kColumns; ++i) total[i] = piece[i] = Op::kNothing;
  int64_t joined = 0;
  for (int64_t f0 = 0; f0 < fold.folded[0]; ++f0)
    for (int64_t f1 = 0; f1 < fold.folded[1]; ++f1) {
      join_columns<Op>(piece, x + f0 * fold.folded_step[0] + f1 * fold.folded_step[1], n);
      if (++joined % 128 != 0) continue;
      join_columns<Op>(total, piece, n);
      for (int i = 0; i < kColumns; ++i) piece[i] = Op::kNothing;
    }
  for (int i = 0; i < n; ++i) y[i] = Op::join(total[i], piece[i]);
}

template <class Op>
void run(const KernelArgs& args, const bool* folded, int thread, int threads) {
  const Fold fold = make_fold(args.in[0].shape, folded);
  const float* x = data<float>(args.in[0]);
  float* y = data<float>(args.out[0]);
  const int64_t rows = fold.kept[0] * fold.kept[1];
  const auto row_start = [&](int64_t row) {
    return x + row / fold.kept[1] * fold.kept_step[0] + row % fold.kept[1] * fold.kept_step[1];
  };
  if (fold.last_folded) {
    const Range range = share(rows, fold.length < 256 ? 16 : 1, thread, threads);
    for (int64_t row = range.begin; row < range.end; ++row) {
      float total = Op::kNothing;
      for (int64_t f0 = 0; f0 < fold.folded[0]; ++f0)
        for (int64_t f1 = 0; f1 < fold.folded[1]; ++f1)
          total = Op::join(
              total, fold_row<Op>(row_start(row) + f0 * fold.folded_step[0] + f1 * fold.folded_step[1], fold.length));
      y[row] = total;
    }
    return;
  }
  const int64_t blocks = (fold.length + kColumns - 1) / kColumns;
  const Range range = share(rows * blocks, 1, thread, threads);
  for (int64_t unit = range.begin; unit < range.end; ++unit) {
    const int64_t row = unit / blocks, begin = unit % blocks * kColumns, left = fold.length - begin;
    fold_columns<Op>(y + row * fold.length + begin, row_start(row) + begin,
                     static_cast<int>(left < kColumns ? left : kColumns), fold);
  }
}

}  // namespace

void reduce_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const ReduceParams& p = params<ReduceParams>(args);
  bool folded[kMaxRank] = {};
  folded[p.axis] = true;
  if (p.kind == ReduceKind::kSum) run<Sum>(args, folded, thread, threads);
  else run<Max>(args, folded, thread, threads);
}

void sum_to_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const Shape &x = args.in[0].shape, &target = args.out[0].shape;
  bool folded[kMaxRank] = {};
  for (int i = 0; i < x.rank; ++i) {
    const int own = i - (x.rank - target.rank);
    folded[i] = own < 0 || target.dim[own] != x.dim[i];
  }
  run<Sum>(args, folded, thread, threads);
}

}  // namespace margay::cpu::MARGAY_ISA
