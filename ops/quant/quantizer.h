// How rows of float32 become blocks of a type: found by find_quantizer() in each instruction set's namespace. The bits
// are the same on all of them. C headers only: kernels see this file.
#pragma once
#include <stdint.h>

#include "base/dtype.h"

namespace margay {

// Writes the blocks nearest to x [n], n a multiple of the type's block length. With `importance` [n] (0 or more, about 1
// on average: an importance matrix's row), squared errors are weighed by it. Numbers that no block can hold give blocks
// that are not finite, or, where they are not finite themselves, any.
using Quantizer = void (*)(const float* x, const float* importance, void* blocks, int64_t n);

}  // namespace margay
