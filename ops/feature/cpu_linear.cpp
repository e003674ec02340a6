// head_linear and its gradients: a small matrix product for each head, over the tokens of all sequences.
#include "ops/attention/tile.h"
#include "ops/feature/tiles.h"
#include "ops/kernel.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

using simd::pad;

// Below this many tokens a weight is not worth transposing: dot products read it where it lies.
constexpr int64_t kFewTokens = 8;

int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace

// z [N, H, F] = x [N, HX, D] times the rows of weight [H, F, D].
void head_linear_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const Shape &x_shape = args.in[0].shape, &w_shape = args.in[1].shape;
  const int64_t tokens = x_shape.dim[0] * x_shape.dim[1], x_heads = x_shape.dim[2], d = x_shape.dim[3];
  const int64_t heads = w_shape.dim[0], f = w_shape.dim[1], fp = pad(f), group = heads / x_heads;
  const float *x = data<float>(args.in[0]), *weights = data<float>(args.in[1]);
  float* z = data<float>(args.out[0]);
  float* packed = reinterpret_cast<float*>(scratch(args, thread));
  float* rows = packed + d * (fp + 16);
  const int64_t chunks = (tokens + kTokenChunk - 1) / kTokenChunk;
  const Range range = share(heads * chunks, 1, thread, threads);
  for (int64_t u = range.begin; u < range.end; ++u) {
    const int64_t h = u / chunks, begin = u % chunks * kTokenChunk, end = min_of(tokens, begin + kTokenChunk);
    const float* w = weights + h * f * d;
    const bool few = tokens < kFewTokens;
    if (!few) simd::transpose(f, d, w, d, packed, fp);
    for (int64_t t = begin; t < end; t += kTokenTile) {
      const int64_t count = min_of(kTokenTile, end - t);
      const float* from = x + (t * x_heads + h / group) * d;
      if (few)
        for (int64_t i = 0; i < count; ++i) simd::dots(f, d, w, d, from + i * x_heads * d, rows + i * fp);
      else simd::product(count, fp, d, from, x_heads * d, 1, packed, fp, rows, fp, false);
      simd::write_rows(count, f, rows, fp, z + (t * heads + h) * f, heads * f, false);
    }
  }
}

// dx [N, HX, D] = sum over the heads of a group of dz [N, H, F] weight [H, F, D]. Inputs dz, weight.
void head_linear_grad_x_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const Shape &dx_shape = args.out[0].shape, &w_shape = args.in[1].shape;
  const int64_t tokens = dx_shape.dim[0] * dx_shape.dim[1], x_heads = dx_shape.dim[2], d = dx_shape.dim[3];
  const int64_t heads = w_shape.dim[0], f = w_shape.dim[1], dp = pad(d), group = heads / x_heads;
  const float *dz = data<float>(args.in[0]), *weights = data<float>(args.in[1]);
  float* packed = reinterpret_cast<float*>(scratch(args, thread));
  float* rows = packed + f * dp;
  const int64_t chunks = (tokens + kTokenChunk - 1) / kTokenChunk;
  const Range range = share(x_heads * chunks, 1, thread, threads);
  for (int64_t u = range.begin; u < range.end; ++u) {
    const int64_t x_head = u / chunks, begin = u % chunks * kTokenChunk, count = min_of(tokens - begin, kTokenChunk);
    for (int64_t h = x_head * group; h < (x_head + 1) * group; ++h) {
      simd::copy_rows(f, d, weights + h * f * d, d, 1, packed, dp);
      simd::product(count, dp, f, dz + (begin * heads + h) * f, heads * f, 1, packed, dp, rows, dp, h % group != 0);
    }
    simd::write_rows(count, d, rows, dp, data<float>(args.out[0]) + (begin * x_heads + x_head) * d, x_heads * d, false);
  }
}

// dweight [H, F, D] = sum over tokens of dz [N, H, F] x [N, HX, D]. Inputs x, dz.
void head_linear_grad_w_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const Shape &x_shape = args.in[0].shape, &w_shape = args.out[0].shape;
  const int64_t tokens = x_shape.dim[0] * x_shape.dim[1], x_heads = x_shape.dim[2], d = x_shape.dim[3];
  const int64_t heads = w_shape.dim[0], f = w_shape.dim[1], dp = pad(d), group = heads / x_heads;
  const float *x = data<float>(args.in[0]), *dz = data<float>(args.in[1]);
  float* sum = reinterpret_cast<float*>(scratch(args, thread));
  float* x_rows = sum + kFeatureSlice * dp;
  float* dz_rows = x_rows + kTokenTile * dp;
  const int64_t slices = (f + kFeatureSlice - 1) / kFeatureSlice;
  const Range range = share(heads * slices, 1, thread, threads);
  for (int64_t u = range.begin; u < range.end; ++u) {
    const int64_t h = u / slices, first = u % slices * kFeatureSlice, count = min_of(kFeatureSlice, f - first);
    for (int64_t t = 0; t < tokens; t += kTokenTile) {
      const int64_t rows = min_of(kTokenTile, tokens - t);
      simd::copy_rows(rows, d, x + (t * x_heads + h / group) * d, x_heads * d, 1, x_rows, dp);
      simd::copy_rows(rows, count, dz + (t * heads + h) * f + first, heads * f, 1, dz_rows, kFeatureSlice);
      simd::product(count, dp, rows, dz_rows, 1, kFeatureSlice, x_rows, dp, sum, dp, t > 0);
    }
    simd::write_rows(count, d, sum, dp, data<float>(args.out[0]) + (h * f + first) * d, d, false);
  }
}

}  // namespace margay::cpu::MARGAY_ISA
