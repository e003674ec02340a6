// Loops that do nothing but what one of the machine's limits is about. C headers only: peaks.cpp is compiled like a
// kernel.
#pragma once
#include <stdint.h>

namespace margay {

struct Peaks {
  float (*read)(const float* p, int64_t floats);   // reads all of it, a multiple of 1024 floats
  float (*fma)(int64_t rounds, float a, float b);  // float32 multiply-adds
  int32_t (*int8)(int64_t rounds, int32_t seed);   // sums of products of bytes; as the kernels take them
  double fma_operations, int8_operations;          // of a round; a multiply-add is two
};

}  // namespace margay
