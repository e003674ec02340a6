// Instruction sets, chosen at run time.
#pragma once

namespace margay {

// Ascending: each one includes those before it (of the same processor family).
enum class Isa { kGeneric, kAvx2, kAvx512, kAvx512Vnni };
constexpr int kIsaCount = 4;

const char* isa_name(Isa isa);  // "generic", "avx2", "avx512", "avx512vnni"
bool isa_available(Isa isa);    // on this machine and in this build
// The best available one, or the one that the environment variable MARGAY_ISA names; throws Error when that is unknown
// or not available here.
Isa chosen_isa();

}  // namespace margay
