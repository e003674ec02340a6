#include "ops/backend.h"

namespace margay {
namespace cpu {
#define MARGAY_TABLE(isa)             \
  namespace isa {                     \
  extern const Kernel kernel_table[]; \
  }
MARGAY_TABLE(generic)
#ifdef MARGAY_HAS_avx2
MARGAY_TABLE(avx2)
MARGAY_TABLE(avx512)
MARGAY_TABLE(avx512vnni)
#endif
#undef MARGAY_TABLE
}  // namespace cpu

const Kernel* cpu_kernels(Isa isa) {
  require(isa_available(isa), "this machine has no {}", isa_name(isa));
  switch (isa) {
    case Isa::kGeneric:
      return cpu::generic::kernel_table;
#ifdef MARGAY_HAS_avx2
    case Isa::kAvx2:
      return cpu::avx2::kernel_table;
    case Isa::kAvx512:
      return cpu::avx512::kernel_table;
    case Isa::kAvx512Vnni:
      return cpu::avx512vnni::kernel_table;
#else
    default:
      break;
#endif
  }
  fail("this build has no kernels for {}", isa_name(isa));
}

}  // namespace margay
