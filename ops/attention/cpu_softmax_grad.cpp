// The gradient of softmax_attention: for each block of keys, all blocks of queries that see it.
//   P = exp(s - m) / l, dv = P^T dy, dS = P (dy v^T - dy . y), dq = scale dS k, dk = scale dS^T q
// With a soft cap, dS is multiplied by its slope at s.
#include "ops/attention/scores.h"
#include "ops/attention/tiles.h"
#include "ops/kernel.h"
#include "ops/params.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

constexpr uint32_t kQ = 1, kK = 2, kV = 4;

struct Backward {
  int64_t tokens, heads, kv_heads, group, d;
  SoftmaxGradTiles tiles;
  SoftmaxAttentionParams params;
  uint32_t wanted;
  const float *dy, *q, *k, *v, *y, *stats;
  float *dq, *dk, *dv;
  float* scratch;

  float* tile(int64_t offset) const { return scratch + offset; }
};

// First key that the query at `n` sees.
int64_t first_key_of(const Backward& f, int64_t n) {
  return f.params.window > 0 ? max_of(0, n - f.params.window + 1) : 0;
}

// Queries [t, t + rows) of head h against keys [key, key + keys) in the tiles.
void block_gradient(const Backward& f, int64_t b, int64_t h, int64_t t, int64_t rows, int64_t key, int64_t keys) {
  const SoftmaxGradTiles& z = f.tiles;
  const int64_t row = (b * f.tokens + t) * f.heads + h, stride = f.heads * f.d;
  float *q = f.tile(z.q), *dy = f.tile(z.dy), *y = f.tile(z.y), *dq = f.tile(z.dq);
  float *weights = f.tile(z.weights), *delta = f.tile(z.delta), *ratio = f.tile(z.ratio);
  simd::copy_rows(rows, f.d, f.q + row * f.d, stride, f.params.scale, q, z.dp);
  simd::copy_rows(rows, f.d, f.dy + row * f.d, stride, 1, dy, z.dp);
  simd::copy_rows(rows, f.d, f.y + row * f.d, stride, 1, y, z.dp);
  simd::row_dots(rows, z.dp, dy, z.dp, y, z.dp, ratio);
  const int64_t step = key + keys - 1 <= t ? kSegment : kGroup;
  for (int64_t r = 0; r < rows; r += step) {
    const int64_t height = min_of(step, rows - r), width = simd::pad(max_of(0, min_of(keys, t + r + height - key)));
    simd::product(height, width, f.d, q + r * z.dp, z.dp, 1, f.tile(z.kt), z.ld, weights + r * z.ld, z.ld, false);
    simd::product(height, width, f.d, dy + r * z.dp, z.dp, 1, f.tile(z.vt), z.ld, delta + r * z.ld, z.ld, false);
    for (int64_t i = r; i < r + height; ++i) {
      float *e = weights + i * z.ld, *ds = delta + i * z.ld;
      const float* stats = f.stats + 2 * (row + i * f.heads);
      const Span span{0, width, first_key_of(f, t + i) - key, min_of(keys, t + i + 1 - key)};
      const bool capped = f.params.soft_cap > 0;
      if (capped) soft_cap_row_and_delta(e, ds, ratio[i], 0, width, f.params.soft_cap);
      const float shift = capped ? 0 : ratio[i];
      exclude_and_max(e, span, simd::zero());
      exponentials(e, span, stats[0], 1 / stats[1], simd::zero());
      for (int64_t c = 0; c < width; c += kWidth) simd::store(ds + c, simd::load(e + c) * (simd::load(ds + c) - shift));
      simd::fill(e + width, simd::pad(keys) - width, 0);
      simd::fill(ds + width, simd::pad(keys) - width, 0);
    }
    if (width == 0) simd::fill(dq + r * z.dp, height * z.dp, 0);
    else
      simd::product(height, z.dp, min_of(width, keys), delta + r * z.ld, z.ld, 1, f.tile(z.k), z.dp, dq + r * z.dp,
                    z.dp, false);
  }
  if (f.wanted & kQ) {
    for (int64_t i = 0; i < rows * z.dp; i += kWidth) simd::store(dq + i, simd::load(dq + i) * f.params.scale);
    simd::write_rows(rows, f.d, dq, z.dp, f.dq + row * f.d, stride, key > first_key_of(f, t) / kSegment * kSegment);
  }
  for (int64_t c = 0; c < keys; c += kGroup) {
    const int64_t r = max_of(0, key + c - t), count = min_of(kGroup, keys - c);  // the first query that sees key c
    if (r >= rows) break;
    simd::product(count, z.dp, rows - r, delta + r * z.ld + c, 1, z.ld, q + r * z.dp, z.dp, f.tile(z.dk) + c * z.dp,
                  z.dp, true);
    simd::product(count, z.dp, rows - r, weights + r * z.ld + c, 1, z.ld, dy + r * z.dp, z.dp, f.tile(z.dv) + c * z.dp,
                  z.dp, true);
  }
}

void keys_gradient(const Backward& f, int64_t b, int64_t kv_head, int64_t key) {
  const SoftmaxGradTiles& z = f.tiles;
  const int64_t keys = min_of(kSegment, f.tokens - key), stride = f.kv_heads * f.d;
  const int64_t at = ((b * f.tokens + key) * f.kv_heads + kv_head) * f.d;
  simd::copy_rows(keys, f.d, f.k + at, stride, 1, f.tile(z.k), z.dp);
  simd::transpose(keys, f.d, f.k + at, stride, f.tile(z.kt), z.ld);
  simd::transpose(keys, f.d, f.v + at, stride, f.tile(z.vt), z.ld);
  simd::fill(f.tile(z.dk), keys * z.dp, 0);
  simd::fill(f.tile(z.dv), keys * z.dp, 0);
  for (int64_t h = kv_head * f.group; h < (kv_head + 1) * f.group; ++h)
    for (int64_t t = key; t < f.tokens && first_key_of(f, t) < key + keys; t += kSegment)
      block_gradient(f, b, h, t, min_of(kSegment, f.tokens - t), key, keys);
  if (f.wanted & kK) simd::write_rows(keys, f.d, f.tile(z.dk), z.dp, f.dk + at, stride, false);
  if (f.wanted & kV) simd::write_rows(keys, f.d, f.tile(z.dv), z.dp, f.dv + at, stride, false);
}

}  // namespace

void softmax_attention_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  Backward f;
  const Shape &q = args.in[1].shape, &k = args.in[2].shape;
  f.params = params<SoftmaxAttentionGradParams>(args).forward;
  f.wanted = params<SoftmaxAttentionGradParams>(args).wanted;
  f.tokens = q.dim[1], f.heads = q.dim[2], f.d = q.dim[3], f.kv_heads = k.dim[2], f.group = f.heads / f.kv_heads;
  const float** inputs[] = {&f.dy, &f.q, &f.k, &f.v, &f.y, &f.stats};
  for (int i = 0; i < 6; ++i) *inputs[i] = data<float>(args.in[i]);
  f.dq = data<float>(args.out[0]), f.dk = data<float>(args.out[1]), f.dv = data<float>(args.out[2]);
  f.tiles = softmax_grad_tiles(f.d, kWidth);
  f.scratch = reinterpret_cast<float*>(scratch(args, thread));
  // Blocks of keys in order, so that the first one that a query sees writes its dq and the later ones add.
  const Range range = share(q.dim[0] * f.kv_heads, 1, thread, threads);
  for (int64_t u = range.begin; u < range.end; ++u)
    for (int64_t key = 0; key < f.tokens; key += kSegment) keys_gradient(f, u / f.kv_heads, u % f.kv_heads, key);
}

}  // namespace margay::cpu::MARGAY_ISA
