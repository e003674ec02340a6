// softmax_attention: blocks of queries of a group of heads against blocks of their keys, each block of keys and values
// read once for the group; maximum and denominator are carried from block to block and the sums so far rescaled.
#include "ops/attention/scores.h"
#include "ops/attention/tiles.h"
#include "ops/kernel.h"
#include "ops/params.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

// Below this many queries a block of keys is not worth transposing: dot products read it where it lies.
constexpr int64_t kFewQueries = 5;

struct Forward {
  int64_t tokens, heads, kv_heads, group, d, capacity;
  SoftmaxTiles tiles;
  SoftmaxAttentionParams params;
  const float *q, *k, *v;
  float *y, *stats;
  float* scratch;

  float* tile(int64_t offset) const { return scratch + offset; }
};

// A unit of work: queries [t, t + rows) of the call for one key/value head of one sequence.
struct Unit {
  int64_t b, kv_head, t, rows, position;
  float* cache;
};

// Keys [key, key + count), all from the cache or all from the call.
struct Keys {
  int64_t key, count, stride;
  const float *k, *v;
};

// Where the cache holds a position. With a window it may be a ring, long enough that the rows written by a call are none
// that the call reads.
int64_t slot_of(const Forward& f, int64_t position) { return f.params.window > 0 ? position % f.capacity : position; }

Keys keys_at(const Forward& f, const Unit& u, int64_t key, int64_t end) {
  Keys keys{key, min_of(kSegment, end - key), f.kv_heads * f.d, nullptr, nullptr};
  if (key < u.position) {
    const int64_t slot = slot_of(f, key);
    keys.count = min_of(keys.count, min_of(u.position - key, f.capacity - slot));
    keys.k = u.cache + (slot * f.kv_heads + u.kv_head) * f.d;
    keys.v = keys.k + f.capacity * f.kv_heads * f.d;
  } else {
    const int64_t at = ((u.b * f.tokens + key - u.position) * f.kv_heads + u.kv_head) * f.d;
    keys.k = f.k + at, keys.v = f.v + at;
  }
  return keys;
}

// The keys of the query at `n`, as columns of the block.
Span span_of(const Forward& f, const Keys& keys, int64_t n, int64_t end) {
  const int64_t low = f.params.window > 0 ? n - f.params.window + 1 - keys.key : 0;
  return {0, end, low, min_of(n + 1 - keys.key, keys.count)};
}

// One block of keys for the queries of one head.
void attend(const Forward& f, const Unit& u, const Keys& keys, int64_t g) {
  const SoftmaxTiles& t = f.tiles;
  const bool few = u.rows < kFewQueries;
  const float *q = f.tile(t.q) + g * kSegment * t.dp, *kt = f.tile(t.kt), *v = f.tile(t.v);
  float *out = f.tile(t.out) + g * kSegment * t.dp, *m = f.tile(t.m) + g * kSegment, *l = f.tile(t.l) + g * kSegment;
  float *scores = f.tile(t.scores), *scale = f.tile(t.scale);
  const int64_t first = u.position + u.t;  // position of the first query
  // Where no query is before the last key, all rows are one group.
  const int64_t step = keys.key + keys.count - 1 <= first ? kSegment : kGroup;
  float maxima[kSegment];
  for (int64_t r = 0; r < u.rows; r += step) {
    const int64_t rows = min_of(step, u.rows - r);
    const int64_t count = min_of(keys.count, first + r + rows - keys.key);  // keys that the last of these sees
    for (int64_t i = r; i < r + rows; ++i) maxima[i] = m[i];
    if (count <= 0) continue;
    if (few)
      for (int64_t i = r; i < r + rows; ++i)
        simd::dots(count, f.d, keys.k, keys.stride, q + i * t.dp, scores + i * t.ld);
    else simd::product(rows, simd::pad(count), f.d, q + r * t.dp, t.dp, 1, kt, t.ld, scores + r * t.ld, t.ld, false);
    for (int64_t i = r; i < r + rows; ++i) {
      const Span span = span_of(f, keys, first + i, simd::pad(count));
      if (f.params.soft_cap > 0) soft_cap_row(scores + i * t.ld, span.begin, span.end, f.params.soft_cap);
      const float best = simd::max_lane(exclude_and_max(scores + i * t.ld, span, simd::splat(kExcluded)));
      maxima[i] = m[i] > best ? m[i] : best;
    }
  }
  for (int64_t r = u.rows; r < kSegment; ++r) maxima[r] = 0;
  for (int64_t r = 0; r < u.rows; r += kWidth)
    simd::store(scale + r, simd::exp(simd::load(m + r) - simd::load(maxima + r)));
  for (int64_t r = 0; r < u.rows; r += step) {
    const int64_t rows = min_of(step, u.rows - r), count = min_of(keys.count, first + r + rows - keys.key);
    if (count <= 0) continue;
    for (int64_t i = r; i < r + rows; ++i) {
      // A row that has seen no key yet (sliding windows) keeps zero sums.
      const float maximum = maxima[i] == kExcluded ? 0 : maxima[i];
      const F32 sum = exponentials(scores + i * t.ld, {0, simd::pad(count), 0, 0}, maximum, 1, simd::zero());
      l[i] = (maxima[i] == m[i] ? l[i] : l[i] * scale[i]) + simd::sum(sum);
      if (maxima[i] == m[i]) continue;
      m[i] = maxima[i];
      for (int64_t c = 0; c < t.dp; c += kWidth)
        simd::store(out + i * t.dp + c, simd::load(out + i * t.dp + c) * scale[i]);
    }
    if (few)
      for (int64_t i = r; i < r + rows; ++i)
        simd::add_combination(count, f.d, scores + i * t.ld, keys.v, keys.stride, out + i * t.dp);
    else simd::product(rows, t.dp, count, scores + r * t.ld, t.ld, 1, v, t.dp, out + r * t.dp, t.dp, true);
  }
}

// Rows [begin, end) of the next block of a cache: heads lie between them, a pattern that hardware does not follow.
void prefetch(const Forward& f, const Keys& keys, int64_t begin, int64_t end) {
  constexpr int64_t kLine = 16;
  for (int64_t r = begin; r < end; ++r)
    for (int64_t c = 0; c < f.d; c += kLine) {
      __builtin_prefetch(keys.k + r * keys.stride + c, 0, 2);
      __builtin_prefetch(keys.v + r * keys.stride + c, 0, 2);
    }
}

void run_unit(const Forward& f, const Unit& u) {
  const SoftmaxTiles& t = f.tiles;
  const int64_t row = (u.b * f.tokens + u.t) * f.heads + u.kv_head * f.group;
  for (int64_t g = 0; g < f.group; ++g)
    simd::copy_rows(u.rows, f.d, f.q + (row + g) * f.d, f.heads * f.d, f.params.scale,
                    f.tile(t.q) + g * kSegment * t.dp, t.dp);
  for (int64_t g = 0; g < f.group; ++g) simd::fill(f.tile(t.out) + g * kSegment * t.dp, u.rows * t.dp, 0);
  simd::fill(f.tile(t.m), f.group * kSegment, kExcluded);
  simd::fill(f.tile(t.l), f.group * kSegment, 0);
  const int64_t first = u.position + u.t, end = first + u.rows;
  Keys keys;
  for (int64_t key = f.params.window > 0 ? max_of(0, first - f.params.window + 1) : 0; key < end; key += keys.count) {
    keys = keys_at(f, u, key, end);
    const int64_t next = keys.key + keys.count;
    const Keys ahead = next < u.position ? keys_at(f, u, next, end) : Keys{0, 0, 0, nullptr, nullptr};
    if (u.rows >= kFewQueries) {
      simd::transpose(keys.count, f.d, keys.k, keys.stride, f.tile(t.kt), t.ld);
      simd::copy_rows(keys.count, f.d, keys.v, keys.stride, 1, f.tile(t.v), t.dp);
    } else if (f.group > 1) {
      // Rows that lie a power of two apart fall on few sets of the first cache: a compact copy for all the heads.
      simd::copy_rows(keys.count, f.d, keys.k, keys.stride, 1, f.tile(t.kt), t.dp);
      simd::copy_rows(keys.count, f.d, keys.v, keys.stride, 1, f.tile(t.v), t.dp);
      keys.k = f.tile(t.kt), keys.v = f.tile(t.v), keys.stride = t.dp;
    }
    for (int64_t g = 0; g < f.group; ++g) {
      prefetch(f, ahead, ahead.count * g / f.group, ahead.count * (g + 1) / f.group);
      attend(f, u, keys, g);
    }
  }
  for (int64_t g = 0; g < f.group; ++g) {
    float* out = f.tile(t.out) + g * kSegment * t.dp;
    for (int64_t r = 0; r < u.rows; ++r) {
      const float l = f.tile(t.l)[g * kSegment + r], inverse = 1 / l;
      for (int64_t c = 0; c < t.dp; c += kWidth)
        simd::store(out + r * t.dp + c, simd::load(out + r * t.dp + c) * inverse);
      float* stats = f.stats + 2 * (row + g + r * f.heads);
      stats[0] = f.tile(t.m)[g * kSegment + r], stats[1] = l;
    }
    simd::write_rows(u.rows, f.d, out, t.dp, f.y + (row + g) * f.d, f.heads * f.d, false);
  }
}

// The unit's own keys and values into the cache. Nobody reads them there during this call.
void append_keys(const Forward& f, const Unit& u) {
  const int64_t stride = f.kv_heads * f.d, from = (u.b * f.tokens + u.t) * stride + u.kv_head * f.d;
  for (int64_t r = 0; r < u.rows; ++r) {
    const int64_t slot = slot_of(f, u.position + u.t + r);
    if (slot >= f.capacity) return;
    float* cache = u.cache + slot * stride + u.kv_head * f.d;
    memcpy(cache, f.k + from + r * stride, static_cast<size_t>(f.d) * sizeof(float));
    memcpy(cache + f.capacity * stride, f.v + from + r * stride, static_cast<size_t>(f.d) * sizeof(float));
  }
}

}  // namespace

void softmax_attention_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  Forward f;
  const Shape &q = args.in[0].shape, &k = args.in[1].shape;
  f.params = params<SoftmaxAttentionParams>(args);
  f.tokens = q.dim[1], f.heads = q.dim[2], f.d = q.dim[3], f.kv_heads = k.dim[2], f.group = f.heads / f.kv_heads;
  f.q = data<float>(args.in[0]), f.k = data<float>(args.in[1]), f.v = data<float>(args.in[2]);
  f.y = data<float>(args.out[0]), f.stats = data<float>(args.out[1]);
  f.capacity = f.params.stateful ? args.in[4].shape.dim[1] : 0;
  f.tiles = softmax_tiles(f.d, f.group, kWidth);
  f.scratch = reinterpret_cast<float*>(scratch(args, thread));
  // Units in turns, from the last block of queries (the most keys) to the first: every thread gets long and short ones.
  const int64_t blocks = (f.tokens + kSegment - 1) / kSegment, columns = q.dim[0] * f.kv_heads;
  for (int64_t i = thread; i < columns * blocks; i += threads) {
    const int64_t block = blocks - 1 - i / columns, column = i % columns;
    Unit u{column / f.kv_heads, column % f.kv_heads, block * kSegment, 0, 0, nullptr};
    u.rows = min_of(kSegment, f.tokens - u.t);
    if (f.params.stateful) {
      u.position = data<int32_t>(args.in[3])[u.b];
      u.cache = state_data<float>(args.in[4], u.b);
      append_keys(f, u);
    }
    run_unit(f, u);
  }
}

}  // namespace margay::cpu::MARGAY_ISA
