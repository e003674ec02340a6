// Rows of any type from and to float32, on the host. Kernels have their own unpackers (unpack.h).
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace margay {

// n elements, a multiple of the type's block length. Errors name a type that has no conversion.
void dequantize_row(DType type, const void* row, float* out, int64_t n);
void quantize_row(DType type, const float* row, void* out, int64_t n);

}  // namespace margay
