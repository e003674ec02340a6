// The state of a linearized layer for one sequence, and which keys are where. C headers only.
//
// Positions are cut into blocks of w (w = window; 64 where there is no window). With n the query's position, o = n mod w
// its offset and b = n / w its block, the keys j <= n are in one of three places:
//
//   S     sums over the whole blocks that every window has left: with a window blocks <= b - 2, without one <= b - 1
//   P     the running sum of the next block: keys of block b - 1 with offset <= o, that is, aged w tokens or more
//         (without a window: keys of block b up to n itself, aged 0)
//   ring  the rest, still raw keys and values
//
//   terraced: linear terms = S, window = blocks b - 1 and b (w + o + 1 keys, the ones of P among them)
//   sliding:  linear terms = S + P, window = the w most recent keys
//   none:     linear terms = S + P, no window
//
// So the state evolves in the same way for all kinds: each token adds the key that is w tokens old to P, and when a
// block begins, S += P and P = 0 (a block is summed first and folded once: float32 sums stay accurate over millions of
// tokens). Starting blocks at `phase` instead of 0 shifts the grid: block = (n + phase) / w.
#pragma once
#include <stdint.h>

#include "ops/params.h"

namespace margay {

struct LinearStateLayout {
  // heads: of fk, that is key maps: where a group of query heads shares one, it shares the sums too. window 0: none.
  int64_t heads, kv_heads, head_dim, features, window;

  // Offsets, in floats, into the state of one sequence.
  int64_t s() const { return 0; }                                   // S [H, F, D]
  int64_t z() const { return heads * features * head_dim; }         // its normaliser [H, F]
  int64_t p() const { return z() + heads * features; }              // P [H, F, D]
  int64_t pz() const { return p() + heads * features * head_dim; }  // [H, F]
  int64_t ring_k() const { return pz() + heads * features; }        // keys [ring, HK, D], position j at j mod ring
  int64_t ring_v() const { return ring_k() + ring() * kv_heads * head_dim; }
  int64_t ring() const { return 2 * window; }  // a terrace reaches back 2w - 1 keys
  int64_t floats() const { return ring_v() + ring() * kv_heads * head_dim; }
};

// Whether key j is among the window's keys of query n, or (linear) among its linear terms: the definition of the above.
static inline bool window_has(WindowKind kind, int64_t window, int64_t phase, bool linear, int64_t n, int64_t j) {
  if (j > n) return false;
  if (kind == WindowKind::kNone) return linear;
  if (kind == WindowKind::kSliding) return linear == (j <= n - window);
  return linear == ((j + phase) / window <= (n + phase) / window - 2);
}

}  // namespace margay
