// How head_linear cuts its work, and where its tiles lie in scratch. C headers only.
#pragma once
#include <stdint.h>

namespace margay {

constexpr int64_t kTokenTile = 64;     // rows of one product
constexpr int64_t kTokenChunk = 256;   // tokens of one unit of work: a head's weight is packed once for them
constexpr int64_t kFeatureSlice = 32;  // rows of a weight's gradient that one unit sums

// Enough for each of the three ops: a packed weight, and the rows of a chunk.
static inline int64_t head_linear_floats(int64_t d, int64_t f) {
  const int64_t widest = (d > f ? d : f) + 16;
  return widest * widest + (kTokenChunk + 16) * widest;
}

}  // namespace margay
