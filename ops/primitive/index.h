// Walking a tensor's elements with their coordinates: for the definitions in double, not for kernels.
#pragma once
#include <cstdint>

#include "ops/kernel.h"

namespace margay {

// Calls visit(flat, coordinate) for every element in row-major order; coordinate is an int64_t[kMaxRank].
template <class Visit>
void for_each_element(const Shape& shape, Visit visit) {
  int64_t coordinate[kMaxRank] = {};
  const int64_t count = elements(shape);
  for (int64_t flat = 0; flat < count; ++flat) {
    visit(flat, coordinate);
    for (int axis = shape.rank - 1; axis >= 0; --axis) {
      if (++coordinate[axis] < shape.dim[axis]) break;
      coordinate[axis] = 0;
    }
  }
}

// Index in `shape` of the element that broadcasting puts at `coordinate` of a shape of rank `rank` (axes are aligned at
// the last one; an axis of length 1 is repeated).
inline int64_t broadcast_index(const Shape& shape, const int64_t* coordinate, int rank) {
  int64_t index = 0;
  for (int axis = 0; axis < shape.rank; ++axis)
    index = index * shape.dim[axis] + (shape.dim[axis] == 1 ? 0 : coordinate[rank - shape.rank + axis]);
  return index;
}

}  // namespace margay
