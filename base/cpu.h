// Instruction sets, chosen at run time.
#pragma once

namespace margay {

// Those of the processor family that this is compiled for, ascending: each one includes those before it. ROW(enumerator,
// name); MARGAY_ISAS of scripts/cmake/margay.cmake has the same names.
#if defined(__x86_64__)
#define MARGAY_ISAS(ROW) ROW(kGeneric, generic) ROW(kAvx2, avx2) ROW(kAvx512, avx512) ROW(kAvx512Vnni, avx512vnni)
#elif defined(__aarch64__)
#define MARGAY_ISAS(ROW) ROW(kGeneric, generic) ROW(kNeon, neon) ROW(kNeonDot, neondot) ROW(kNeonI8mm, neoni8mm)
#else
#define MARGAY_ISAS(ROW) ROW(kGeneric, generic)
#endif

#define MARGAY_ENUMERATOR(id, name) id,
enum class Isa { MARGAY_ISAS(MARGAY_ENUMERATOR) };
#undef MARGAY_ENUMERATOR
#define MARGAY_ONE(id, name) +1
constexpr int kIsaCount = 0 MARGAY_ISAS(MARGAY_ONE);
#undef MARGAY_ONE

const char* isa_name(Isa isa);  // "generic", "avx2", ...
bool isa_available(Isa isa);    // on this machine
// The best available one, or the one that the environment variable MARGAY_ISA names; throws Error when that is unknown
// or not available here.
Isa chosen_isa();

}  // namespace margay
