// hybrid_attention: blocks of queries against at most two blocks of keys, and against the sums S, P of all older ones.
// state.h says which keys are where. One query of one sequence a call (decoding) has a path of its own below.
#include "ops/attention/hybrid_decode.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

// Keys (transposed) and values with offsets [begin, end) of `block` into the tiles of its parity: from the ring where
// they are older than this call, else from its inputs.
void pack_keys(const Forward& f, const Sequence& sequence, int64_t kv_head, int64_t block, int64_t begin, int64_t end) {
  const HybridSizes& z = f.z;
  const int64_t start = block * z.w - z.phase, ring = f.layout.ring();
  float* kt = f.tile(f.tiles.kt[block & 1]);
  float* v = f.tile(f.tiles.v[block & 1]);
  while (begin < end) {
    const int64_t key = start + begin, stride = z.kv_heads * z.d;
    int64_t count = end - begin;
    const float *from_k, *from_v;
    if (key < sequence.position) {
      const int64_t slot = key % ring;
      count = min_of(count, min_of(sequence.position - key, ring - slot));
      from_k = sequence.state + f.layout.ring_k() + slot * stride + kv_head * z.d;
      from_v = sequence.state + f.layout.ring_v() + slot * stride + kv_head * z.d;
    } else {
      from_k = row_of(f.k, sequence, key - sequence.position, kv_head, z.tokens, z.kv_heads, z.d);
      from_v = row_of(f.v, sequence, key - sequence.position, kv_head, z.tokens, z.kv_heads, z.d);
    }
    simd::transpose(count, z.d, from_k, stride, kt + begin, f.tiles.kt_ld);
    simd::copy_rows(count, z.d, from_v, stride, 1, v + begin * f.tiles.dp, f.tiles.dp);
    begin += count;
  }
}

// Window part of row r: weights in place of scores. Returns c and adds the window's mass.
float window_row(const Forward& f, const Segment& g, int64_t r, float gamma, float* mass) {
  float* row = f.tile(f.tiles.weights) + r * 2 * f.tiles.wp;
  const Span before = row_previous(f.z, f.tiles, f.params.kind, g, r), own = row_current(f.z, g, r);
  if (f.params.soft_cap > 0) {
    soft_cap_row(row, before.begin, before.end, f.params.soft_cap);
    soft_cap_row(row + f.tiles.wp, own.begin, own.end, f.params.soft_cap);
  }
  F32 best = exclude_and_max(row, before, simd::splat(kExcluded));
  best = exclude_and_max(row + f.tiles.wp, own, best);
  const float c = simd::max_lane(best);
  F32 sum = exponentials(row, before, c, gamma, simd::zero());
  sum = exponentials(row + f.tiles.wp, own, c, gamma, sum);
  *mass = simd::sum(sum);
  return c;
}

// Linear terms of row r with the keys that age out with its segment, into their columns; returns their mass.
float linear_row(const Forward& f, const Segment& g, int64_t r) {
  const bool none = f.params.kind == WindowKind::kNone;
  float* row = f.tile(f.tiles.weights) + r * 2 * f.tiles.wp + (none ? f.tiles.wp : 0) + g.aged;
  const float* terms = f.tile(f.tiles.linear) + r * (f.tiles.rows + 16);
  const int64_t count = g.o + r + 1 - g.aged;  // keys up to the one that ages out with this query
  F32 sum = simd::zero();
  for (int64_t c = 0; c < count; c += kWidth) {
    const int n = static_cast<int>(min_of(kWidth, count - c));
    const F32 term = f.params.window_only ? simd::zero() : simd::load_part(terms + c, n);
    simd::store_part(row + c, term, n);
    sum += term;
  }
  if (none)  // later keys of the group, which no window has set to zero
    for (int64_t c = count; c < g.o + min_of(r / kGroup * kGroup + kGroup, g.rows) - g.aged; ++c) row[c] = 0;
  return simd::sum(sum);
}

// Outputs of query head h for one segment. with_s, with_p: S and P are not zero.
void segment_head(const Forward& f, const Sequence& sequence, const Segment& g, int64_t h, bool with_s, bool with_p) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles;
  const WindowKind kind = f.params.kind;
  const bool none = kind == WindowKind::kNone, terraced = kind == WindowKind::kTerraced;
  const float gamma = sigmoid(f.logit[h]), lambda = f.params.affine ? 1 - gamma : 1;
  float *q = f.tile(t.q), *fq = f.tile(t.fq), *weights = f.tile(t.weights), *out = f.tile(t.out);
  const int64_t ld = 2 * t.wp;
  const float *before = f.tile(t.v[(g.block - 1) & 1]), *own = f.tile(t.v[g.block & 1]);

  simd::copy_rows(g.rows, z.f, row_of(f.fq, sequence, g.t, h, z.tokens, z.heads, z.f), z.heads * z.f, lambda, fq, t.fp);
  if (!none) {
    simd::copy_rows(g.rows, z.d, row_of(f.q, sequence, g.t, h, z.tokens, z.heads, z.d), z.heads * z.d, f.params.scale,
                    q, t.dp);
    window_scores(z, t, kind, g, q, f.tile(t.kt[(g.block - 1) & 1]), f.tile(t.kt[g.block & 1]), weights);
  }
  if (!terraced && !f.params.window_only && g.aged_rows() > 0) {
    for (int64_t r = 0; r < g.rows; r += kGroup) {
      const int64_t rows = min_of(kGroup, g.rows - r), columns = g.o + r + rows - g.aged;
      if (columns > 0)
        simd::product(rows, simd::pad(columns), z.f, fq + r * t.fp, t.fp, 1, f.tile(t.fkt), t.rows + 16,
                      f.tile(t.linear) + r * (t.rows + 16), t.rows + 16, false);
    }
  }

  // Denominators: the mass of all terms.
  float *mass = f.tile(t.mass), *normal = f.tile(t.normal);
  float* stats = f.stats + 2 * ((sequence.b * z.tokens + g.t) * z.heads + h);
  for (int64_t r = 0; r < g.rows; ++r) {
    float window_mass = 0;
    stats[2 * z.heads * r] = none ? 0 : window_row(f, g, r, gamma, &window_mass);
    mass[r] = none ? 1e-12f : window_mass;
    if (!terraced && g.o + r >= g.aged) mass[r] += linear_row(f, g, r);
  }
  for (int part = 0; part < 2; ++part) {
    if (!(part ? with_p : with_s)) continue;
    simd::dots(g.rows, t.fp, fq, t.fp, f.tile(part ? t.pz : t.z), normal);
    for (int64_t r = 0; r < g.rows; ++r) mass[r] += normal[r];
  }

  // Numerators.
  for (int64_t r = 0; r < g.rows; r += kGroup) {
    const int64_t rows = min_of(kGroup, g.rows - r), end = g.o + r + rows;
    const int64_t first = first_key(g.block, z.w, z.phase), low = none ? g.o : first;
    float* to = out + r * t.dp;
    simd::product(rows, t.dp, end - low, weights + r * ld + t.wp + low, ld, 1, own + low * t.dp, t.dp, to, t.dp, false);
    if (!none) {
      // A sliding window's row starts where the group's first one does; left of it are linear terms of this segment.
      int64_t begin = first_key(g.block - 1, z.w, z.phase);
      if (!terraced) begin = max_of(begin, g.o);
      if (begin < z.w)
        simd::product(rows, t.dp, z.w - begin, weights + r * ld + begin, ld, 1, before + begin * t.dp, t.dp, to, t.dp,
                      true);
    }
  }
  if (with_s) simd::product(g.rows, t.dp, z.f, fq, t.fp, 1, f.tile(t.s), t.dp, out, t.dp, true);
  if (with_p) simd::product(g.rows, t.dp, z.f, fq, t.fp, 1, f.tile(t.p), t.dp, out, t.dp, true);

  for (int64_t r = 0; r < g.rows; ++r) {
    float* row = out + r * t.dp;
    const float inverse = 1 / mass[r];
    for (int64_t c = 0; c < t.dp; c += kWidth) simd::store(row + c, simd::load(row + c) * inverse);
    stats[2 * z.heads * r + 1] = mass[r];
  }
  simd::write_rows(g.rows, z.d, out, t.dp, f.y + ((sequence.b * z.tokens + g.t) * z.heads + h) * z.d, z.heads * z.d,
                   false);
}

void add_tile(float* to, float* from, int64_t n) {  // to += from, from = 0
  for (int64_t i = 0; i < n; i += kWidth) {
    simd::store(to + i, simd::load(to + i) + simd::load(from + i));
    simd::store(from + i, simd::zero());
  }
}

// All tokens of the call for `count` query heads from `head`, which share the sums of map `map`.
void run_heads(const Forward& f, const Sequence& sequence, int64_t head, int64_t count, int64_t map) {
  const HybridSizes& z = f.z;
  const HybridTiles& t = f.tiles;
  const WindowKind kind = f.params.kind;
  const bool none = kind == WindowKind::kNone, terraced = kind == WindowKind::kTerraced;
  float *s = f.tile(t.s), *s_z = f.tile(t.z), *p = f.tile(t.p), *p_z = f.tile(t.pz);
  float* saved[4] = {s, s_z, p, p_z};
  int64_t place[4] = {f.layout.s() + map * z.f * z.d, f.layout.z() + map * z.f, f.layout.p() + map * z.f * z.d,
                      f.layout.pz() + map * z.f};
  const bool resumed = sequence.position > 0;
  for (int i = 0; i < 4; ++i) {
    const int64_t rows = i % 2 ? 1 : z.f, columns = i % 2 ? z.f : z.d, ld = i % 2 ? t.fp : t.dp;
    if (resumed) simd::copy_rows(rows, columns, sequence.state + place[i], columns, 1, saved[i], ld);
    else simd::fill(saved[i], rows * ld, 0);
  }
  const int64_t kv_head = head / z.group;
  if (resumed && !none) {
    const int64_t next = sequence.position + z.phase, block = next / z.w;
    pack_keys(f, sequence, kv_head, block - 1, first_key(block - 1, z.w, z.phase), z.w);
    pack_keys(f, sequence, kv_head, block, first_key(block, z.w, z.phase), next % z.w);
  }

  Segment g;
  for (int64_t at = 0; at < z.tokens; at += g.rows) {
    g = segment_at(z, kind, sequence.position, at, t.rows);
    if (g.o == 0) {
      add_tile(s, p, z.f * t.dp);
      add_tile(s_z, p_z, t.fp);
    }
    pack_keys(f, sequence, kv_head, g.block, g.o, g.end());
    const int64_t aged = g.aged_rows();
    float* fk = f.tile(t.fk);
    simd::copy_rows(aged, z.f, row_of(f.fk, sequence, at + g.aged - g.o, map, z.tokens, z.maps, z.f), z.maps * z.f, 1,
                    fk, t.fp);
    if (!terraced && !f.params.window_only) simd::transpose(aged, z.f, fk, t.fp, f.tile(t.fkt), t.rows + 16);

    const bool linear = !f.params.window_only;
    const bool with_s = linear && g.block >= (none ? 1 : 2);
    const bool with_p = linear && !terraced && g.o > 0 && g.block >= (none ? 0 : 1);
    for (int64_t h = head; h < head + count; ++h) segment_head(f, sequence, g, h, with_s, with_p);

    if (aged > 0 && (sequence.state || at + g.rows < z.tokens)) {
      const float* v = f.tile(t.v[(none ? g.block : g.block - 1) & 1]) + g.aged * t.dp;
      simd::product(z.f, t.dp, aged, fk, 1, t.fp, v, t.dp, p, t.dp, true);
      simd::add_rows(aged, t.fp, fk, t.fp, p_z);
    }
  }
  if (!sequence.state) return;
  for (int i = 0; i < 4; ++i) {
    const int64_t rows = i % 2 ? 1 : z.f, columns = i % 2 ? z.f : z.d, ld = i % 2 ? t.fp : t.dp;
    simd::write_rows(rows, columns, saved[i], ld, sequence.state + place[i], columns, false);
  }
}

// The newest keys and values of kv_head into the ring. Readers of this call are done, or read no slot written here (one
// token overwrites the key 2w tokens ago, which no window and no sum needs).
void write_ring(const Forward& f, const Sequence& sequence, int64_t kv_head) {
  const HybridSizes& z = f.z;
  const int64_t ring = f.layout.ring();
  for (int64_t t = max_of(0, z.tokens - ring); t < z.tokens; ++t) {
    const int64_t to = ((sequence.position + t) % ring * z.kv_heads + kv_head) * z.d;
    const size_t bytes = static_cast<size_t>(z.d) * sizeof(float);
    memcpy(sequence.state + f.layout.ring_k() + to, row_of(f.k, sequence, t, kv_head, z.tokens, z.kv_heads, z.d),
           bytes);
    memcpy(sequence.state + f.layout.ring_v() + to, row_of(f.v, sequence, t, kv_head, z.tokens, z.kv_heads, z.d),
           bytes);
  }
}

}  // namespace

void hybrid_attention_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  Forward f;
  f.params = params<HybridAttentionParams>(args);
  f.z = hybrid_sizes(args.in[0], args.in[1], args.in[3], args.in[4], f.params);
  const HybridSizes& z = f.z;
  f.layout = {z.maps, z.kv_heads, z.d, z.f, f.params.kind == WindowKind::kNone ? 0 : z.w};
  f.tiles = hybrid_tiles(z.d, z.f, z.w, kWidth);
  const float** inputs[] = {&f.q, &f.k, &f.v, &f.fq, &f.fk, &f.logit};
  for (int i = 0; i < 6; ++i) *inputs[i] = data<float>(args.in[i]);
  f.y = data<float>(args.out[0]), f.stats = data<float>(args.out[1]);
  f.scratch = reinterpret_cast<float*>(scratch(args, thread));

  // A unit is the query heads that share sums, at least; a group of them where the ring must wait until all have read
  // it.
  const bool stateful = f.params.stateful != 0, decoding = stateful && z.tokens == 1;
  const int64_t unit = z.maps == z.kv_heads || (stateful && !decoding) ? z.group : 1, units = z.heads / unit;
  const Range range = share(z.batch * units, 1, thread, threads);
  for (int64_t u = range.begin; u < range.end; ++u) {
    Sequence sequence{u / units, 0, nullptr};
    if (stateful) {
      sequence.position = data<int32_t>(args.in[6])[sequence.b];
      sequence.state = state_data<float>(args.in[7], sequence.b);
    }
    const int64_t head = u % units * unit, per_map = z.heads / z.maps;
    for (int64_t h = head; h < head + unit; h += per_map) {
      if (decoding) decode_heads(f, sequence, h, per_map, h / per_map);
      else run_heads(f, sequence, h, per_map, h / per_map);
    }
    if (stateful && f.params.kind != WindowKind::kNone && head % z.group == 0) write_ring(f, sequence, head / z.group);
  }
}

}  // namespace margay::cpu::MARGAY_ISA
