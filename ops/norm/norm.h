// What op.cpp and cpu.cpp of rms_norm share. C headers only: kernels see this file.
#pragma once
#include <stdint.h>

namespace margay {

struct RmsNormGradParams {
  float epsilon;
  uint32_t wanted;  // bit 0: of x, bit 1: of the weight
};

// The weight's gradient is a sum over rows: one partial sum for each run of this many rows, whatever the number of
// threads, so that its bits do not depend on it.
constexpr int64_t kNormRowsOfPartial = 32;

}  // namespace margay
