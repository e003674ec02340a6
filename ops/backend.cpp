#include "ops/backend.h"

namespace margay {
namespace cpu {
#define MARGAY_TABLE(id, isa)           \
  namespace isa {                       \
  extern const Kernel kernel_table[];   \
  Quantizer find_quantizer(DType type); \
  }
MARGAY_ISAS(MARGAY_TABLE)
#undef MARGAY_TABLE
}  // namespace cpu

namespace {

struct Backend {
  Isa isa;
  const Kernel* kernels;
  Quantizer (*find_quantizer)(DType type);
};
#define MARGAY_BACKEND(id, isa) {Isa::id, cpu::isa::kernel_table, cpu::isa::find_quantizer},
const Backend kBackends[] = {MARGAY_ISAS(MARGAY_BACKEND)};
#undef MARGAY_BACKEND

const Backend& backend(Isa isa) {
  require(isa_available(isa), "this machine has no {}", isa_name(isa));
  for (const Backend& row : kBackends)
    if (row.isa == isa) return row;
  fail("this build has no kernels for {}", isa_name(isa));
}

}  // namespace

const Kernel* cpu_kernels(Isa isa) { return backend(isa).kernels; }

Quantizer cpu_quantizer(Isa isa, DType type) {
  const Quantizer found = backend(isa).find_quantizer(type);
  require(found != nullptr, "{} is no type of blocks", type_name(type));
  return found;
}

}  // namespace margay
