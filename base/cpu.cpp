#include "base/cpu.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace margay {

const char* isa_name(Isa isa) {
#define MARGAY_NAME(id, name) #name,
  constexpr const char* kNames[] = {MARGAY_ISAS(MARGAY_NAME)};
#undef MARGAY_NAME
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
#elif defined(__aarch64__)
  const bool neon = getauxval(AT_HWCAP) & HWCAP_ASIMD, dot = neon && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP);
  if (isa == Isa::kNeon) return neon;
  if (isa == Isa::kNeonDot) return dot;
  return dot && (getauxval(AT_HWCAP2) & HWCAP2_I8MM);
#else
  return false;
#endif
}

Isa chosen_isa() {
  if (const char* wish = std::getenv("MARGAY_ISA"); wish && *wish) {
    std::string names;
    for (int i = 0; i < kIsaCount; ++i) {
      const Isa isa = static_cast<Isa>(i);
      names += (i ? ", " : "") + std::string(isa_name(isa));
      if (std::string_view(isa_name(isa)) != wish) continue;
      require(isa_available(isa), "MARGAY_ISA={}: this machine has no {}; leave MARGAY_ISA unset", wish, wish);
      return isa;
    }
    fail("MARGAY_ISA={}: unknown; use one of {}", wish, names);
  }
  for (int i = kIsaCount - 1; i > 0; --i)
    if (isa_available(static_cast<Isa>(i))) return static_cast<Isa>(i);
  return Isa::kGeneric;
}

}  // namespace margay
