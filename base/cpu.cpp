#include "base/cpu.h"

#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace margay {

const char* isa_name(Isa isa) {
  constexpr const char* kNames[] = {"generic", "avx2", "avx512", "avx512vnni"};
  return kNames[static_cast<int>(isa)];
}

bool isa_available(Isa isa) {
  if (isa == Isa::kGeneric) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (isa == Isa::kAvx2) return avx2;
  if (isa == Isa::kAvx512) return avx512;
  return avx512 && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

Isa chosen_isa() {
  if (const char* wish = std::getenv("MARGAY_ISA"); wish && *wish) {
    for (int i = 0; i < kIsaCount; ++i) {
      const Isa isa = static_cast<Isa>(i);
      if (std::string_view(isa_name(isa)) != wish) continue;
      require(isa_available(isa), "MARGAY_ISA={}: this machine has no {}; leave MARGAY_ISA unset", wish, wish);
      return isa;
    }
    fail("MARGAY_ISA={}: unknown; use generic, avx2, avx512 or avx512vnni", wish);
  }
  for (int i = kIsaCount - 1; i > 0; --i)
    if (isa_available(static_cast<Isa>(i))) return static_cast<Isa>(i);
  return Isa::kGeneric;
}

}  // namespace margay
