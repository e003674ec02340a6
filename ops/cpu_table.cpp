// The kernel table of one instruction set; compiled once for each.
#include "ops/kernel.h"

namespace margay::cpu::MARGAY_ISA {

#define OP(id, name) void name##_kernel(const KernelArgs& args, int thread, int threads) noexcept;
#include "ops/ops.def"
#undef OP

extern const Kernel kernel_table[];
const Kernel kernel_table[] = {
#define OP(id, name) name##_kernel,
#include "ops/ops.def"
#undef OP
};

}  // namespace margay::cpu::MARGAY_ISA
