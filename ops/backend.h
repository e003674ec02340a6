// The kernel table of the CPU, one an instruction set.
#pragma once
#include "base/cpu.h"
#include "ops/graph.h"
#include "ops/quant/quantizer.h"

namespace margay {

// Kernels in the order of OpId. Throws Error when the build or the machine lacks the instruction set.
const Kernel* cpu_kernels(Isa isa);
// What quantizes to a type of blocks; throws Error for other types too.
Quantizer cpu_quantizer(Isa isa, DType type);

}  // namespace margay
