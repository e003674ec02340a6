// What this machine can do at most, measured now: kernels are judged as a part of it.
#pragma once
#include "base/cpu.h"

namespace margay {

struct Limits {
  double read = 0;  // bytes a second from memory
  double fma = 0;   // float32 operations a second, a multiply-add is two
  double int8 = 0;  // the same of bytes; where there are no instructions for them, that of float32
};

// About half a second, and 512 MiB of memory while it runs. Takes the best of several runs: other work on the machine
// only lowers it.
Limits measure_limits(int threads, Isa isa = chosen_isa());

}  // namespace margay
