// The gradient of hybrid_attention (LoLCATs section 1.6), stateless, in two passes over the segments of a row and with
// no memory that grows with it. With gd_n = dL/dy_n / D_n and r_n = gd_n . y_n, a term of key j has delta_nj = gd_n .
// v_j - r_n.
//   upwards:   S, z as in the forward op give dfq = lambda (S gd - r z), and the window's dq, dk, dv
//   downwards: U = sum of lambda fq gd^T and u = sum of lambda fq r over the later queries give dfk = U v - u, dv +=
//   U^T fk
#include "ops/attention/hybrid.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

constexpr uint32_t kQ = 1, kK = 2, kV = 4, kFq = 8, kFk = 16, kLogit = 32;  // bits of `wanted`

struct Backward {
  HybridSizes z;
  HybridGradTiles tiles;
  HybridAttentionParams params;
  uint32_t wanted;
  const float *dy, *q, *k, *v, *fq, *fk, *logit, *y, *stats;
  float *dq, *dk, *dv, *dfq, *dfk, *dlogit;
  float* scratch;
  bool none, terraced, linear, window;  // window: its gradients are wanted

  float* tile(int64_t offset) const { return scratch + offset; }
  int64_t token(int64_t b, int64_t t) const { return b * z.tokens + t; }
};

// The query heads of one unit of work that share the sums of `map`.
struct Heads {
  int64_t b, head, count, map, kv_head;
  bool first;  // of the unit: later ones add to dk and dv
};

// gd, r and lambda fq of the segment's rows.
void load_queries(const Backward& f, const Heads& u, const Segment& g, int64_t h) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  float *gd = f.tile(f.tiles.gd), *y = f.tile(f.tiles.y);
  const int64_t row = f.token(u.b, g.t) * z.heads + h;
  simd::copy_rows(g.rows, z.d, f.y + row * z.d, z.heads * z.d, 1, y, t.dp);
  for (int64_t r = 0; r < g.rows; ++r)
    simd::copy_rows(1, z.d, f.dy + (row + r * z.heads) * z.d, 0, 1 / f.stats[2 * (row + r * z.heads) + 1],
                    gd + r * t.dp, 0);
  simd::row_dots(g.rows, t.dp, gd, t.dp, y, t.dp, f.tile(f.tiles.ratio));
  if (!f.linear) return;
  const float lambda = f.params.affine ? 1 - sigmoid(f.logit[h]) : 1;
  simd::copy_rows(g.rows, z.f, f.fq + row * z.f, z.heads * z.f, lambda, f.tile(t.fq), t.fp);
}

// Features and values of the keys that age out with the segment.
void load_aged(const Backward& f, const Heads& u, const Segment& g) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  const int64_t n = g.aged_rows(), at = g.t + g.aged - g.o, age = f.none ? 0 : z.w;
  if (n <= 0) return;
  const float* v = f.v + (f.token(u.b, at - age) * z.kv_heads + u.kv_head) * z.d;
  simd::copy_rows(n, z.f, f.fk + (f.token(u.b, at) * z.maps + u.map) * z.f, z.maps * z.f, 1, f.tile(t.fk), t.fp);
  simd::copy_rows(n, z.d, v, z.kv_heads * z.d, 1, f.tile(f.tiles.aged_v), t.dp);
  if (f.terraced) return;
  simd::transpose(n, z.f, f.tile(t.fk), t.fp, f.tile(t.fkt), t.rows + 16);
  simd::transpose(n, z.d, f.tile(f.tiles.aged_v), t.dp, f.tile(f.tiles.aged_vt), t.rows + 16);
}

// tile [queries, aged keys] = left right, less row_offset[r] (if any) in row r, for the linear terms inside the segment
// (sliding and no window): each query against the keys that aged out up to it; the others are zero.
void inner_terms(const Backward& f, const Segment& g, int64_t depth, const float* left, int64_t ld_left,
                 const float* right, const float* row_offset, float* tile) {
  const HybridTiles& t = f.tiles.forward;
  const int64_t n = g.aged_rows(), ld = t.rows + 16;
  I32 lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = i;
  for (int64_t r = 0; r < g.rows; r += kGroup) {
    const int64_t rows = min_of(kGroup, g.rows - r), columns = simd::pad(max_of(0, g.o + r + rows - g.aged));
    simd::product(rows, columns, depth, left + r * ld_left, ld_left, 1, right, ld, tile + r * ld, ld, false);
    for (int64_t i = r; i < r + rows; ++i) {
      const int32_t count = static_cast<int32_t>(max_of(0, g.o + i + 1 - g.aged));
      const float offset = row_offset ? row_offset[i] : 0;
      for (int64_t c = 0; c < n; c += kWidth) {
        const F32 value = c < columns ? simd::load(tile + i * ld + c) - offset : simd::zero();
        simd::store(tile + i * ld + c, lane + static_cast<int32_t>(c) < count ? value : simd::zero());
      }
    }
  }
}

void inner_deltas(const Backward& f, const Segment& g) {
  inner_terms(f, g, f.z.d, f.tile(f.tiles.gd), f.tiles.forward.dp, f.tile(f.tiles.aged_vt), f.tile(f.tiles.ratio),
              f.tile(f.tiles.delta_linear));
}

// dfq of the segment, and in `mass` sum_W e delta of each row: it is - sum_L p delta = - fq . dfq, since all terms' sum
// is 0.
void query_features(const Backward& f, const Heads& u, const Segment& g, int64_t h, bool with_s) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  float *df = f.tile(f.tiles.df), *mass = f.tile(f.tiles.mass);
  const float *sums = f.tile(t.z), *ratio = f.tile(f.tiles.ratio);
  const bool inner = f.linear && !f.terraced && g.aged_rows() > 0;
  if (with_s) simd::product(g.rows, t.fp, z.d, f.tile(f.tiles.gd), t.dp, 1, f.tile(t.s), t.fp, df, t.fp, false);
  else simd::fill(df, g.rows * t.fp, 0);
  if (inner) {
    inner_deltas(f, g);
    simd::product(g.rows, t.fp, g.aged_rows(), f.tile(f.tiles.delta_linear), t.rows + 16, 1, f.tile(t.fk), t.fp, df,
                  t.fp, true);
  }
  const float lambda = f.params.affine ? 1 - sigmoid(f.logit[h]) : 1;
  if (with_s)
    for (int64_t r = 0; r < g.rows; ++r)
      for (int64_t c = 0; c < t.fp; c += kWidth)
        simd::store(df + r * t.fp + c, simd::load(df + r * t.fp + c) - simd::load(sums + c) * ratio[r]);
  if (with_s || inner) simd::row_dots(g.rows, t.fp, f.tile(t.fq), t.fp, df, t.fp, mass);
  else simd::fill(mass, g.rows, 0);
  for (int64_t r = 0; r < g.rows; ++r) mass[r] = -mass[r];
  if (!(f.wanted & kFq)) return;
  if (lambda != 1)
    for (int64_t i = 0; i < g.rows * t.fp; i += kWidth) simd::store(df + i, simd::load(df + i) * lambda);
  simd::write_rows(g.rows, z.f, df, t.fp, f.dfq + (f.token(u.b, g.t) * z.heads + h) * z.f, z.heads * z.f, false);
}

// Keys and values of the segment into the tiles of its block.
void load_window(const Backward& f, const Heads& u, const Segment& g) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  const int64_t own = g.block & 1, at = (f.token(u.b, g.t) * z.kv_heads + u.kv_head) * z.d, stride = z.kv_heads * z.d;
  if (g.o == 0 || g.t == 0) {
    simd::fill(f.tile(f.tiles.dk[own]), z.w * t.dp, 0);
    simd::fill(f.tile(f.tiles.dv[own]), z.w * t.dp, 0);
  }
  simd::transpose(g.rows, z.d, f.k + at, stride, f.tile(t.kt[own]) + g.o, t.kt_ld);
  simd::transpose(g.rows, z.d, f.v + at, stride, f.tile(f.tiles.vt[own]) + g.o, t.kt_ld);
  simd::copy_rows(g.rows, z.d, f.k + at, stride, 1, f.tile(f.tiles.k[own]) + g.o * t.dp, t.dp);
}

// Weights e and score gradients ds = e delta of one row, in place of scores and of gd . v; the maximum's share goes to
// the first key that has it. Columns outside the window become zero in both.
void window_row_gradient(const Backward& f, const Segment& g, int64_t r, float gamma) {
  const HybridTiles& t = f.tiles.forward;
  float *weights = f.tile(t.weights) + r * 2 * t.wp, *delta = f.tile(f.tiles.delta) + r * 2 * t.wp;
  const Span spans[2] = {row_previous(f.z, t, f.params.kind, g, r), row_current(f.z, g, r)};
  const float cap = f.params.soft_cap;
  float ratio = f.tile(f.tiles.ratio)[r];
  if (cap > 0) {
    for (int half = 0; half < 2; ++half)
      soft_cap_row_and_delta(weights + half * t.wp, delta + half * t.wp, ratio, spans[half].begin, spans[half].end,
                             cap);
    ratio = 0;
  }
  F32 best = simd::splat(kExcluded);
  for (int half = 0; half < 2; ++half) best = exclude_and_max(weights + half * t.wp, spans[half], best);
  const float c = simd::max_lane(best);
  int64_t winner = -1;
  for (int half = 0; half < 2; ++half)
    for (int64_t i = spans[half].low; winner < 0 && i < spans[half].high; ++i)
      if (weights[half * t.wp + i] == c) winner = half * t.wp + i;
  for (int half = 0; half < 2; ++half) {
    float *e = weights + half * t.wp, *d = delta + half * t.wp;
    exponentials(e, spans[half], c, gamma, simd::zero());
    for (int64_t i = spans[half].begin; i < spans[half].end; i += kWidth) {
      F32 ds = simd::load(e + i) * (simd::load(d + i) - ratio);
      ds = simd::load(e + i) > simd::zero() ? ds : simd::zero();  // tiles hold anything where no key is
      simd::store(d + i, ds);
    }
    for (int64_t i = 0; i < t.wp; i += kWidth) {
      if (i >= spans[half].begin && i < spans[half].end) continue;
      simd::store(e + i, simd::zero());
      simd::store(d + i, simd::zero());
    }
  }
  if (winner >= 0) delta[winner] -= f.tile(f.tiles.mass)[r] * (cap > 0 ? 1 - c * c / (cap * cap) : 1);
}

// dq of the segment's rows; dk and dv of its window into the tiles of the two blocks.
void window_gradients(const Backward& f, const Heads& u, const Segment& g, int64_t h) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  const WindowKind kind = f.params.kind;
  const int64_t own = g.block & 1, other = 1 - own, ld = 2 * t.wp, row = f.token(u.b, g.t) * z.heads + h;
  float *q = f.tile(t.q), *gd = f.tile(f.tiles.gd), *weights = f.tile(t.weights), *delta = f.tile(f.tiles.delta);
  const float gamma = sigmoid(f.logit[h]);
  simd::copy_rows(g.rows, z.d, f.q + row * z.d, z.heads * z.d, f.params.scale, q, t.dp);
  window_scores(z, t, kind, g, q, f.tile(t.kt[other]), f.tile(t.kt[own]), weights);
  window_scores(z, t, kind, g, gd, f.tile(f.tiles.vt[other]), f.tile(f.tiles.vt[own]), delta);
  for (int64_t r = 0; r < g.rows; ++r) window_row_gradient(f, g, r, gamma);

  const int64_t first = first_key(g.block, z.w, z.phase), before = first_key(g.block - 1, z.w, z.phase);
  float* dq = f.tile(f.tiles.dx);
  for (int64_t r = 0; r < g.rows; r += kGroup) {
    const int64_t rows = min_of(kGroup, g.rows - r), end = g.o + r + rows;
    const int64_t low = kind == WindowKind::kSliding ? max_of(before, g.o + r + 1) : before;
    simd::product(rows, t.dp, end - first, delta + r * ld + t.wp + first, ld, 1, f.tile(f.tiles.k[own]) + first * t.dp,
                  t.dp, dq + r * t.dp, t.dp, false);
    if (low < z.w)
      simd::product(rows, t.dp, z.w - low, delta + r * ld + low, ld, 1, f.tile(f.tiles.k[other]) + low * t.dp, t.dp,
                    dq + r * t.dp, t.dp, true);
  }
  for (int64_t i = 0; i < g.rows * t.dp; i += kWidth) simd::store(dq + i, simd::load(dq + i) * f.params.scale);
  if (f.wanted & kQ) simd::write_rows(g.rows, z.d, dq, t.dp, f.dq + row * z.d, z.heads * z.d, false);

  // Keys in groups, each against the queries that see some of them: in the own block those from the first key on, in
  // the block before (sliding) those up to the last key.
  for (int part = 0; part < 2; ++part) {
    const float *left = part ? weights : delta, *right = part ? gd : q;
    float* to_own = f.tile(part ? f.tiles.dv[own] : f.tiles.dk[own]);
    float* to_other = f.tile(part ? f.tiles.dv[other] : f.tiles.dk[other]);
    for (int64_t c = 0; c < g.end(); c += kGroup) {
      const int64_t r = max_of(0, c - g.o);
      simd::product(min_of(kGroup, g.end() - c), t.dp, g.rows - r, left + r * ld + t.wp + c, 1, ld, right + r * t.dp,
                    t.dp, to_own + c * t.dp, t.dp, true);
    }
    for (int64_t c = before / kGroup * kGroup; c < z.w; c += kGroup) {
      const int64_t count = min_of(kGroup, z.w - c);
      const int64_t rows = kind == WindowKind::kSliding ? min_of(g.rows, c + count - 1 - g.o) : g.rows;
      if (rows > 0) simd::product(count, t.dp, rows, left + c, 1, ld, right, t.dp, to_other + c * t.dp, t.dp, true);
    }
  }
}

// dk and dv of a block that no later query has in its window.
void write_block(const Backward& f, const Heads& u, int64_t block) {
  const HybridSizes& z = f.z;
  const int64_t first = first_key(block, z.w, z.phase), t = block * z.w - z.phase + first;
  const int64_t rows = min_of(z.w - first, z.tokens - t), dp = f.tiles.forward.dp;
  const int64_t at = (f.token(u.b, t) * z.kv_heads + u.kv_head) * z.d;
  if (f.wanted & kK)
    simd::write_rows(rows, z.d, f.tile(f.tiles.dk[block & 1]) + first * dp, dp, f.dk + at, z.kv_heads * z.d, !u.first);
  if (f.wanted & kV)
    simd::write_rows(rows, z.d, f.tile(f.tiles.dv[block & 1]) + first * dp, dp, f.dv + at, z.kv_heads * z.d, !u.first);
}

void upwards(const Backward& f, const Heads& u) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  float *s = f.tile(t.s), *s_z = f.tile(t.z), *p = f.tile(t.p), *p_z = f.tile(t.pz);
  simd::fill(s, z.d * t.fp, 0);
  simd::fill(s_z, t.fp, 0);
  simd::fill(p, z.d * t.fp, 0);
  simd::fill(p_z, t.fp, 0);
  // Terraces of several segments wait in P until the next block; otherwise nothing reads S before it may hold them.
  const bool wait = f.terraced && z.w > t.rows;
  bool with_s = false, with_p = false;
  Segment g;
  for (int64_t at = 0; at < z.tokens; at += g.rows) {
    g = segment_at(z, f.params.kind, 0, at, t.rows);
    if (g.o == 0 && with_p) {
      for (int64_t i = 0; i < z.d * t.fp; i += kWidth) simd::store(s + i, simd::load(s + i) + simd::load(p + i));
      for (int64_t i = 0; i < t.fp; i += kWidth) simd::store(s_z + i, simd::load(s_z + i) + simd::load(p_z + i));
      simd::fill(p, z.d * t.fp, 0);
      simd::fill(p_z, t.fp, 0);
      with_s = true, with_p = false;
    }
    if (f.linear) load_aged(f, u, g);
    if (f.window) load_window(f, u, g);
    for (int64_t h = u.head; h < u.head + u.count; ++h) {
      load_queries(f, u, g, h);
      query_features(f, u, g, h, with_s);
      if (f.window) window_gradients(f, u, g, h);
      if (!(f.wanted & kLogit)) continue;
      const float gamma = sigmoid(f.logit[h]), *mass = f.tile(f.tiles.mass);
      // de/dw = (1 - g) e and, if affine, dp/dw = - g p, where sum_L p delta = - sum_W e delta: together 1.
      const float factor = f.none ? 0 : f.params.affine && f.linear ? 1 : 1 - gamma;
      float sum = 0;
      for (int64_t r = 0; r < g.rows; ++r) sum += mass[r];
      f.dlogit[u.b * z.heads + h] += factor * sum;
    }
    if (f.window && (g.end() == z.w || at + g.rows == z.tokens)) {
      if (g.block > 0) write_block(f, u, g.block - 1);
      if (at + g.rows == z.tokens) write_block(f, u, g.block);
    }
    if (f.linear && g.aged_rows() > 0) {
      simd::product(z.d, t.fp, g.aged_rows(), f.tile(f.tiles.aged_v), 1, t.dp, f.tile(t.fk), t.fp, wait ? p : s, t.fp,
                    true);
      simd::add_rows(g.aged_rows(), t.fp, f.tile(t.fk), t.fp, wait ? p_z : s_z);
      (wait ? with_p : with_s) = true;
    }
  }
}

// dfk of the keys that age out with the segment, and their values' gradient through the linear terms.
void key_gradients(const Backward& f, const Heads& u, const Segment& g) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  const int64_t n = g.aged_rows(), at = g.t + g.aged - g.o, ld = t.rows + 16;
  if (f.wanted & kFk)  // rows without a key
    for (int64_t i = g.t; i < at; ++i) simd::fill(f.dfk + (f.token(u.b, i) * z.maps + u.map) * z.f, z.f, 0);
  if (n <= 0) return;
  load_aged(f, u, g);
  float *df = f.tile(f.tiles.df), *dv = f.tile(f.tiles.dx), *sums = f.tile(f.tiles.u), *u_rows = f.tile(f.tiles.u_rows);
  const int64_t u_ld = t.dp + 16;
  simd::product(n, t.fp, z.d, f.tile(f.tiles.aged_v), t.dp, 1, f.tile(f.tiles.ut), t.fp, df, t.fp, false);
  for (int64_t r = 0; r < n; ++r)
    for (int64_t c = 0; c < t.fp; c += kWidth)
      simd::store(df + r * t.fp + c, simd::load(df + r * t.fp + c) - simd::load(sums + c));
  if (f.wanted & kV) {
    simd::transpose(z.d, z.f, f.tile(f.tiles.ut), t.fp, u_rows, u_ld);
    simd::product(n, t.dp, z.f, f.tile(t.fk), t.fp, 1, u_rows, u_ld, dv, t.dp, false);
  }
  for (int64_t h = u.head; !f.terraced && h < u.head + u.count; ++h) {
    load_queries(f, u, g, h);
    inner_deltas(f, g);
    simd::product(n, t.fp, g.rows, f.tile(f.tiles.delta_linear), 1, ld, f.tile(t.fq), t.fp, df, t.fp, true);
    if (!(f.wanted & kV)) continue;
    float* terms = f.tile(t.linear);
    inner_terms(f, g, z.f, f.tile(t.fq), t.fp, f.tile(t.fkt), nullptr, terms);
    simd::product(n, t.dp, g.rows, terms, 1, ld, f.tile(f.tiles.gd), t.dp, dv, t.dp, true);
  }
  if (f.wanted & kFk)
    simd::write_rows(n, z.f, df, t.fp, f.dfk + (f.token(u.b, at) * z.maps + u.map) * z.f, z.maps * z.f, false);
  if (f.wanted & kV)
    simd::write_rows(n, z.d, dv, t.dp, f.dv + (f.token(u.b, at - (f.none ? 0 : z.w)) * z.kv_heads + u.kv_head) * z.d,
                     z.kv_heads * z.d, true);
}

void add_queries(const Backward& f, const Heads& u, const Segment& g) {
  const HybridTiles& t = f.tiles.forward;
  for (int64_t h = u.head; h < u.head + u.count; ++h) {
    load_queries(f, u, g, h);
    simd::product(f.z.d, t.fp, g.rows, f.tile(f.tiles.gd), 1, t.dp, f.tile(t.fq), t.fp, f.tile(f.tiles.ut), t.fp, true);
    simd::add_combination(g.rows, t.fp, f.tile(f.tiles.ratio), f.tile(t.fq), t.fp, f.tile(f.tiles.u));
  }
}

void downwards(const Backward& f, const Heads& u) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles.forward;
  simd::fill(f.tile(f.tiles.ut), z.d * t.fp, 0);
  simd::fill(f.tile(f.tiles.u), t.fp, 0);
  for (int64_t block = (z.tokens - 1 + z.phase) / z.w; block >= 0; --block) {
    const int64_t start = max_of(0, block * z.w - z.phase), end = min_of(z.tokens, (block + 1) * z.w - z.phase);
    const int64_t last = start + (end - start - 1) / t.rows * t.rows;
    // A terrace's queries are no later queries of the keys that age out beside them: all its keys first.
    for (int pass = f.terraced ? 0 : 1; pass < 2; ++pass)
      for (int64_t at = last; at >= start; at -= t.rows) {
        const Segment g = segment_at(z, f.params.kind, 0, at, t.rows);
        if (!f.terraced || pass == 0) key_gradients(f, u, g);
        if (pass == 1) add_queries(f, u, g);
      }
  }
}

void zero_rows(float* to, int64_t rows, int64_t stride, int64_t length) {
  for (int64_t r = 0; r < rows; ++r) simd::fill(to + r * stride, length, 0);
}

void unit_gradients(const Backward& f, const Heads& u) {
  const HybridSizes& z = f.z;
  for (int64_t h = u.head; h < u.head + u.count; ++h) {
    if (f.wanted & kLogit) f.dlogit[u.b * z.heads + h] = 0;
    if (f.none && (f.wanted & kQ))
      zero_rows(f.dq + (f.token(u.b, 0) * z.heads + h) * z.d, z.tokens, z.heads * z.d, z.d);
  }
  if (f.none && u.first) {
    const int64_t at = (f.token(u.b, 0) * z.kv_heads + u.kv_head) * z.d;
    if (f.wanted & kK) zero_rows(f.dk + at, z.tokens, z.kv_heads * z.d, z.d);
    if (f.wanted & kV) zero_rows(f.dv + at, z.tokens, z.kv_heads * z.d, z.d);
  }
  if (f.window || (f.wanted & (kFq | kLogit))) upwards(f, u);
  if (f.linear && (f.wanted & (kFk | kV))) downwards(f, u);
  else if (f.wanted & kFk) zero_rows(f.dfk + (f.token(u.b, 0) * z.maps + u.map) * z.f, z.tokens, z.maps * z.f, z.f);
}

}  // namespace

void hybrid_attention_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  Backward f;
  f.params = params<HybridAttentionGradParams>(args).forward;
  f.wanted = params<HybridAttentionGradParams>(args).wanted;
  f.z = hybrid_sizes(args.in[1], args.in[2], args.in[4], args.in[5], f.params);
  const HybridSizes& z = f.z;
  f.tiles = hybrid_grad_tiles(z.d, z.f, z.w, kWidth);
  const float** inputs[] = {&f.dy, &f.q, &f.k, &f.v, &f.fq, &f.fk, &f.logit, &f.y, &f.stats};
  for (int i = 0; i < 9; ++i) *inputs[i] = data<float>(args.in[i]);
  float** outputs[] = {&f.dq, &f.dk, &f.dv, &f.dfq, &f.dfk, &f.dlogit};
  for (int i = 0; i < 6; ++i) *outputs[i] = data<float>(args.out[i]);
  f.scratch = reinterpret_cast<float*>(scratch(args, thread));
  f.none = f.params.kind == WindowKind::kNone, f.terraced = f.params.kind == WindowKind::kTerraced;
  f.linear = !f.params.window_only;
  f.window = !f.none && (f.wanted & (kQ | kK | kV)) != 0;

  // Where heads share dk, dv or sums, one unit is all query heads of a key/value head, in order.
  const int64_t unit = z.maps == z.kv_heads || (f.wanted & (kK | kV)) ? z.group : 1, units = z.heads / unit;
  const int64_t per_map = z.heads / z.maps;
  const Range range = share(z.batch * units, 1, thread, threads);
  for (int64_t i = range.begin; i < range.end; ++i) {
    const int64_t head = i % units * unit;
    for (int64_t h = head; h < head + unit; h += per_map)
      unit_gradients(f, {i / units, h, per_map, h / per_map, h / z.group, h == head});
  }
}

}  // namespace margay::cpu::MARGAY_ISA
