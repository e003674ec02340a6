// Where the tiles of the attention kernels lie in a thread's scratch, in floats. Rows are padded to `width` floats:
// kWidth in a kernel, 16 (the widest) where op.cpp asks for memory. C headers only.
#pragma once
#include <stdint.h>

#include "ops/params.h"

namespace margay {

struct SoftmaxAttentionGradParams {
  SoftmaxAttentionParams forward;
  uint32_t wanted;
};

constexpr int64_t kSegment = 64;  // most queries that are worked on at once
constexpr int64_t kGroup = 16;    // of them share one bound of a triangle: keys past the last of these are skipped

static inline int64_t pad_to(int64_t n, int64_t width) { return (n + width - 1) / width * width; }

static inline int64_t take(int64_t* used, int64_t floats) {
  const int64_t at = *used;
  *used += pad_to(floats, 16);
  return at;
}

struct HybridTiles {
  int64_t rows;               // queries of a segment: at most a block
  int64_t dp, fp, wp, kt_ld;  // padded D, F, w; row length of kt
  int64_t q, fq, fk, fkt;     // of the segment: [rows, dp] [rows, fp] [rows, fp] [F, rows + 16]
  int64_t kt[2], v[2];        // of the block before and the current one, by parity: keys transposed [D, kt_ld], [w, dp]
  int64_t weights, linear;    // [rows, 2 wp], [rows, rows + 16]
  int64_t out, mass, normal;  // [rows, dp], [rows] twice
  int64_t s, z, p, pz;        // S [F, dp], z [fp], P, its normaliser
  int64_t floats;
};

static inline HybridTiles hybrid_tiles(int64_t d, int64_t f, int64_t w, int64_t width) {
  HybridTiles t;
  int64_t used = 0;
  t.rows = w < kSegment ? w : kSegment;
  t.dp = pad_to(d, width), t.fp = pad_to(f, width), t.wp = pad_to(w, width);
  t.kt_ld = t.wp + 16;  // a transpose may write one vector past the last key
  t.q = take(&used, t.rows * t.dp);
  t.fq = take(&used, t.rows * t.fp);
  t.fk = take(&used, t.rows * t.fp);
  t.fkt = take(&used, f * (t.rows + 16));
  for (int i = 0; i < 2; ++i) t.kt[i] = take(&used, d * t.kt_ld), t.v[i] = take(&used, w * t.dp);
  t.weights = take(&used, t.rows * 2 * t.wp);
  t.linear = take(&used, t.rows * (t.rows + 16));
  t.out = take(&used, t.rows * t.dp);
  t.mass = take(&used, t.rows + 16);
  t.normal = take(&used, t.rows + 16);
  t.s = take(&used, f * t.dp);
  t.z = take(&used, t.fp);
  t.p = take(&used, f * t.dp);
  t.pz = take(&used, t.fp);
  t.floats = used;
  return t;
}

struct HybridGradTiles {
  HybridTiles forward;          // rows, paddings, q, fq, fk, fkt, kt, weights, linear, S and z (transposed: [D, fp])
  int64_t y, gd, ratio;         // y; dL/dy / D_n, [rows, dp]; dL/dy . y / D_n, [rows]
  int64_t vt[2], k[2];          // of the block before and the current one: values transposed, keys
  int64_t dk[2], dv[2];         // their gradients as far as the segments went, [w, dp]
  int64_t aged_v, aged_vt;      // [rows, dp], [D, rows + 16]
  int64_t delta, delta_linear;  // [rows, 2 wp], [rows, rows + 16]
  int64_t df, dx, mass;         // gradients to write: [rows, fp], [rows, dp]; [rows]
  int64_t ut, u, u_rows;        // U transposed [D, fp], u [fp], U [F, dp]
  int64_t floats;
};

static inline HybridGradTiles hybrid_grad_tiles(int64_t d, int64_t f, int64_t w, int64_t width) {
  HybridGradTiles t;
  t.forward = hybrid_tiles(d, f, w, width);
  const HybridTiles& z = t.forward;
  int64_t used = z.floats;
  t.forward.s = take(&used, d * z.fp);  // larger than F x dp where D pads better than F
  t.forward.p = take(&used, d * z.fp);
  t.y = take(&used, z.rows * z.dp);
  t.gd = take(&used, z.rows * z.dp);
  t.ratio = take(&used, z.rows + 16);
  for (int i = 0; i < 2; ++i) {
    t.vt[i] = take(&used, d * z.kt_ld);
    t.k[i] = take(&used, w * z.dp);
    t.dk[i] = take(&used, w * z.dp);
    t.dv[i] = take(&used, w * z.dp);
  }
  t.aged_v = take(&used, z.rows * z.dp);
  t.aged_vt = take(&used, d * (z.rows + 16));
  t.delta = take(&used, z.rows * 2 * z.wp);
  t.delta_linear = take(&used, z.rows * (z.rows + 16));
  t.df = take(&used, z.rows * z.fp);
  t.dx = take(&used, z.rows * z.dp);
  t.mass = take(&used, z.rows + 16);
  t.ut = take(&used, d * z.fp);
  t.u = take(&used, z.fp);
  t.u_rows = take(&used, f * (z.dp + 16));
  t.floats = used;
  return t;
}

// softmax_attention: kSegment queries of a whole group of heads against kSegment keys at a time.
struct SoftmaxTiles {
  int64_t dp, ld;               // padded D; row length of transposed tiles and of scores
  int64_t q, out, m, l, scale;  // [group, kSegment, dp] twice; [group, kSegment] twice, [kSegment]
  int64_t kt, v, scores;        // [D, ld], [kSegment, dp], [kSegment, ld]
  int64_t floats;
};

static inline SoftmaxTiles softmax_tiles(int64_t d, int64_t group, int64_t width) {
  SoftmaxTiles t;
  int64_t used = 0;
  t.dp = pad_to(d, width), t.ld = kSegment + 16;
  t.q = take(&used, group * kSegment * t.dp);
  t.out = take(&used, group * kSegment * t.dp);
  t.m = take(&used, group * kSegment);
  t.l = take(&used, group * kSegment);
  t.scale = take(&used, kSegment);
  t.kt = take(&used, (d > t.dp ? d : t.dp) * t.ld);
  t.v = take(&used, kSegment * t.dp);
  t.scores = take(&used, kSegment * t.ld);
  t.floats = used;
  return t;
}

struct SoftmaxGradTiles {
  int64_t dp, ld;
  int64_t q, dy, y, dq;       // of a block of queries, [kSegment, dp]
  int64_t k, kt, vt, dk, dv;  // of a block of keys: [kSegment, dp], transposed [D, ld] twice, [kSegment, dp] twice
  int64_t weights, delta, ratio;
  int64_t floats;
};

static inline SoftmaxGradTiles softmax_grad_tiles(int64_t d, int64_t width) {
  SoftmaxGradTiles t;
  int64_t used = 0;
  t.dp = pad_to(d, width), t.ld = kSegment + 16;
  int64_t* rows[] = {&t.q, &t.dy, &t.y, &t.dq, &t.k, &t.dk, &t.dv};
  for (int64_t* tile : rows) *tile = take(&used, kSegment * t.dp);
  t.kt = take(&used, d * t.ld);
  t.vt = take(&used, d * t.ld);
  t.weights = take(&used, kSegment * t.ld);
  t.delta = take(&used, kSegment * t.ld);
  t.ratio = take(&used, kSegment);
  t.floats = used;
  return t;
}

}  // namespace margay
