// What the kernels of hybrid_attention and of its gradient share: sizes, places of keys, the window's rows of weights.
#pragma once
#include "ops/attention/scores.h"
#include "ops/attention/state.h"
#include "ops/attention/tile.h"
#include "ops/attention/tiles.h"
#include "ops/kernel.h"
#include "ops/params.h"

namespace margay::cpu::MARGAY_ISA {

struct HybridSizes {
  int64_t batch, tokens, heads, kv_heads, maps, d, f;
  int64_t group;  // query heads of a key/value head
  int64_t w, phase;
};

// From the views of q, k, fq and fk.
MARGAY_INLINE HybridSizes hybrid_sizes(const View& q, const View& k, const View& fq, const View& fk,
                                       const HybridAttentionParams& params) {
  HybridSizes s;
  s.batch = q.shape.dim[0], s.tokens = q.shape.dim[1], s.heads = q.shape.dim[2], s.d = q.shape.dim[3];
  s.kv_heads = k.shape.dim[2], s.maps = fk.shape.dim[2], s.f = fq.shape.dim[3];
  s.group = s.heads / s.kv_heads;
  s.w = params.window, s.phase = params.phase;
  return s;
}

MARGAY_INLINE float sigmoid(float x) { return 1 / (1 + __builtin_expf(-x)); }

// Offset of the first key of a block that exists: the grid starts at -phase, and no block is before it.
MARGAY_INLINE int64_t first_key(int64_t block, int64_t w, int64_t phase) {
  return block < 0 ? w : block == 0 ? phase : 0;
}

// The window of the query with offset `offset` in `block`: its part of the block before ...
MARGAY_INLINE Span previous_span(const HybridSizes& z, WindowKind kind, int64_t block, int64_t begin, int64_t end,
                                 int64_t offset) {
  const int64_t first = first_key(block - 1, z.w, z.phase);
  return {begin, end, kind == WindowKind::kSliding ? max_of(first, offset + 1) : first, z.w};
}
// ... and of its own.
MARGAY_INLINE Span current_span(const HybridSizes& z, int64_t block, int64_t end, int64_t offset) {
  return {0, end, first_key(block, z.w, z.phase), offset + 1};
}

// A segment: queries of one block, [t, t + rows) of the call, offsets [o, o + rows) of the block. Tokens `rows` before
// it age out of the window with it: those with offsets [aged, o + rows) of the block before (without a window: of its
// own block).
struct Segment {
  int64_t t, rows, block, o, aged;
  int64_t end() const { return o + rows; }
  int64_t aged_rows() const { return o + rows - aged; }
};

MARGAY_INLINE Segment segment_at(const HybridSizes& z, WindowKind kind, int64_t position, int64_t t, int64_t limit) {
  Segment g;
  const int64_t place = position + t + z.phase;
  g.t = t;
  g.block = place / z.w;
  g.o = place - g.block * z.w;
  g.rows = min_of(min_of(z.tokens - t, z.w - g.o), limit);
  g.aged = kind == WindowKind::kNone ? g.o : min_of(max_of(g.o, first_key(g.block - 1, z.w, z.phase)), g.end());
  return g;
}

// First column to compute for the rows that start with r's group; none where the block before has no key.
MARGAY_INLINE int64_t previous_begin(const HybridSizes& z, const HybridTiles& tiles, WindowKind kind, const Segment& g,
                                     int64_t r) {
  const int64_t low = previous_span(z, kind, g.block, 0, 0, g.o + r / kGroup * kGroup).low;
  return low >= z.w ? tiles.wp : round_down(low);
}

// Scores of the segment's rows against its window, kGroup rows at a time so that keys past the last of them are
// skipped: weights [rows, 2 wp], the block before in the first wp columns. q is scaled already.
static inline void window_scores(const HybridSizes& z, const HybridTiles& tiles, WindowKind kind, const Segment& g,
                                 const float* q, const float* kt_previous, const float* kt_current, float* weights) {
  const int64_t ld = 2 * tiles.wp;
  for (int64_t r = 0; r < g.rows; r += kGroup) {
    const int64_t rows = min_of(kGroup, g.rows - r);
    const int64_t begin = previous_begin(z, tiles, kind, g, r);
    if (begin < tiles.wp)
      simd::product(rows, tiles.wp - begin, z.d, q + r * tiles.dp, tiles.dp, 1, kt_previous + begin, tiles.kt_ld,
                    weights + r * ld + begin, ld, false);
    simd::product(rows, simd::pad(g.o + r + rows), z.d, q + r * tiles.dp, tiles.dp, 1, kt_current, tiles.kt_ld,
                  weights + r * ld + tiles.wp, ld, false);
  }
}

// The spans of row r as window_scores computed them.
MARGAY_INLINE Span row_previous(const HybridSizes& z, const HybridTiles& tiles, WindowKind kind, const Segment& g,
                                int64_t r) {
  return previous_span(z, kind, g.block, previous_begin(z, tiles, kind, g, r), tiles.wp, g.o + r);
}
MARGAY_INLINE Span row_current(const HybridSizes& z, const Segment& g, int64_t r) {
  return current_span(z, g.block, simd::pad(g.o + min_of(r / kGroup * kGroup + kGroup, g.rows)), g.o + r);
}

}  // namespace margay::cpu::MARGAY_ISA
