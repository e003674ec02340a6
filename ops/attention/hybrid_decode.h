// hybrid_attention for one new token a sequence: each map's S and P pass through the core once, the window is read in
// place.
#pragma once
#include "ops/attention/hybrid.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

struct Forward {
  HybridSizes z;
  HybridTiles tiles;
  HybridAttentionParams params;
  LinearStateLayout layout;
  const float *q, *k, *v, *fq, *fk, *logit;
  float *y, *stats;
  float* scratch;

  float* tile(int64_t offset) const { return scratch + offset; }
};

// A sequence: where its call starts, and its state (none in training).
struct Sequence {
  int64_t b, position;
  float* state;
};

const float* row_of(const float* x, const Sequence& sequence, int64_t t, int64_t h, int64_t tokens, int64_t heads,
                    int64_t length) {
  return x + ((sequence.b * tokens + t) * heads + h) * length;
}

// `count` query heads from `head` (they share the sums of `map`) for the one new token. Updates S and P in place.
static void decode_heads(const Forward& f, const Sequence& sequence, int64_t head, int64_t count, int64_t map) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles;
  const bool none = f.params.kind == WindowKind::kNone, terraced = f.params.kind == WindowKind::kTerraced;
  const int64_t n = sequence.position, place = n + z.phase, o = place % z.w, sums = z.f * z.d;
  const int64_t kv_head = head / z.group, stride = z.kv_heads * z.d, ring = f.layout.ring();
  float *s = sequence.state + f.layout.s() + map * sums, *s_z = sequence.state + f.layout.z() + map * z.f;
  float *p = sequence.state + f.layout.p() + map * sums, *p_z = sequence.state + f.layout.pz() + map * z.f;
  const float* ring_k = sequence.state + f.layout.ring_k() + kv_head * z.d;
  const float* ring_v = sequence.state + f.layout.ring_v() + kv_head * z.d;

  if (n == 0) {
    float* sum[4] = {s, s_z, p, p_z};
    for (int i = 0; i < 4; ++i) simd::fill(sum[i], i % 2 ? z.f : sums, 0);
  } else if (o == 0) {
    simd::add_scaled(s, p, 1, sums);
    simd::add_scaled(s_z, p_z, 1, z.f);
    simd::fill(p, sums, 0);
    simd::fill(p_z, z.f, 0);
  }
  if (none || n >= z.w) {  // the key that ages out with this token
    const float* fk = row_of(f.fk, sequence, 0, map, 1, z.maps, z.f);
    const float* v = none ? row_of(f.v, sequence, 0, kv_head, 1, z.kv_heads, z.d) : ring_v + (n - z.w) % ring * stride;
    for (int64_t i = 0; i < z.f; ++i) simd::add_scaled(p + i * z.d, v, fk[i], z.d);
    simd::add_scaled(p_z, fk, 1, z.f);
  }

  const int64_t first = terraced ? max_of(0, n - o - z.w) : max_of(0, n - z.w + 1);  // of the window's keys
  for (int64_t h = head; h < head + count; ++h) {
    const float gamma = sigmoid(f.logit[h]), lambda = f.params.affine ? 1 - gamma : 1;
    float *q = f.tile(t.q), *fq = f.tile(t.fq) + (h - head) * t.fp, *out = f.tile(t.out), *weights = f.tile(t.weights);
    simd::copy_rows(1, z.f, row_of(f.fq, sequence, 0, h, 1, z.heads, z.f), 0, lambda, fq, t.fp);
    simd::fill(out, t.dp, 0);
    float mass = 1e-12f, c = 0;
    if (!none) {
      simd::copy_rows(1, z.d, row_of(f.q, sequence, 0, h, 1, z.heads, z.d), 0, f.params.scale, q, t.dp);
      const int64_t count_of_keys = n - first + 1, slot = first % ring;
      const int64_t run = min_of(n - first, ring - slot),
                    rest = n - first - run;  // in the ring: [slot, ...), [0, rest)
      simd::dots(run, z.d, ring_k + slot * stride, stride, q, weights);
      simd::dots(rest, z.d, ring_k, stride, q, weights + run);
      simd::dots(1, z.d, row_of(f.k, sequence, 0, kv_head, 1, z.kv_heads, z.d), stride, q, weights + n - first);
      const Span span{0, simd::pad(count_of_keys), 0, count_of_keys};
      if (f.params.soft_cap > 0) soft_cap_row(weights, span.begin, span.end, f.params.soft_cap);
      c = simd::max_lane(exclude_and_max(weights, span, simd::splat(kExcluded)));
      mass = simd::sum(exponentials(weights, span, c, gamma, simd::zero()));
      simd::add_combination(run, z.d, weights, ring_v + slot * stride, stride, out);
      simd::add_combination(rest, z.d, weights + run, ring_v, stride, out);
      simd::add_combination(1, z.d, weights + n - first, row_of(f.v, sequence, 0, kv_head, 1, z.kv_heads, z.d), stride,
                            out);
    }
    if (!f.params.window_only) {
      simd::add_combination(z.f, z.d, fq, s, z.d, out);
      mass += simd::dot(fq, s_z, z.f);
      if (!terraced) {
        simd::add_combination(z.f, z.d, fq, p, z.d, out);
        mass += simd::dot(fq, p_z, z.f);
      }
    }
    const int64_t at = sequence.b * z.heads + h;
    const float inverse = 1 / mass;
    for (int64_t i = 0; i < t.dp; i += kWidth) simd::store(out + i, simd::load(out + i) * inverse);
    simd::write_rows(1, z.d, out, t.dp, f.y + at * z.d, z.d, false);
    f.stats[2 * at] = c, f.stats[2 * at + 1] = mass;
  }
}

}  // namespace
}  // namespace margay::cpu::MARGAY_ISA
