// Rows of any type from and to float32, on the host. Kernels have their own unpackers (unpack.h).
#pragma once
#include <cstdint>

#include "base/cpu.h"
#include "base/dtype.h"

namespace margay {

// n elements, a multiple of the type's block length. Errors name a type that has no conversion.
void dequantize_row(DType type, const void* row, float* out, int64_t n);
// Blocks leave the least squared error that the searches find, weighed by `importance` [n] where there is one (0 or
// more, about 1 on average); Q8_0 and types without blocks are rounded. Every instruction set gives the same bits.
void quantize_row(DType type, const float* row, void* out, int64_t n, const float* importance = nullptr,
                  Isa isa = chosen_isa());

}  // namespace margay
