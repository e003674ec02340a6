// What the attention ops say about their shapes in the same words.
#pragma once
#include "ops/ops.h"

namespace margay {

inline Shape stats_shape(const Shape& q) { return make_shape({q.dim[0], q.dim[1], q.dim[2], 2}); }

inline void check_attention(ShapeRule& rule, const Shape& q, const Shape& k, const Shape& v) {
  rule.check(q.rank == 4 && k.rank == 4 && v == k, "expected q [B, T, H, D], k and v [B, T, HK, D]");
  rule.check(
      k.dim[0] == q.dim[0] && k.dim[1] == q.dim[1] && k.dim[3] == q.dim[3] && k.dim[2] > 0 && q.dim[2] % k.dim[2] == 0,
      "q, k and v must have the same B, T and D, and HK must divide H");
}

// x [B, T, N, C] -> [B, groups, (N / groups) T, C]: heads that share a right factor become rows of one product.
inline Tensor by_group(Tensor x, int64_t groups) {
  return reshape(permute(x, {0, 2, 1, 3}), make_shape({x.dim(0), groups, x.dim(2) / groups * x.dim(1), x.dim(3)}));
}

}  // namespace margay
