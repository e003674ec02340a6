#include "ops/backend.h"

namespace margay {
namespace cpu {
#define MARGAY_TABLE(id, isa)         \
  namespace isa {                     \
  extern const Kernel kernel_table[]; \
  }
MARGAY_ISAS(MARGAY_TABLE)
#undef MARGAY_TABLE
}  // namespace cpu

const Kernel* cpu_kernels(Isa isa) {
  require(isa_available(isa), "this machine has no {}", isa_name(isa));
  switch (isa) {
#define MARGAY_CASE(id, isa) \
  case Isa::id:              \
    return cpu::isa::kernel_table;
    MARGAY_ISAS(MARGAY_CASE)
#undef MARGAY_CASE
  }
  fail("there are no kernels for instruction set {}", static_cast<int>(isa));
}

}  // namespace margay
