// The limits of the machine are numbers that make sense.
#include "runtime/limits.h"

#include <gtest/gtest.h>

namespace margay {
namespace {

TEST(Limits, EveryInstructionSet) {
  for (int i = 0; i < kIsaCount; ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (!isa_available(isa)) continue;
    SCOPED_TRACE(isa_name(isa));
    const Limits limits = measure_limits(1, isa);
    // Between a very busy small machine and anything with one memory bus.
    EXPECT_GT(limits.read, 1e8);
    EXPECT_LT(limits.read, 1e12);
    EXPECT_GT(limits.fma, 1e8);
    EXPECT_LT(limits.fma, 1e13);
    EXPECT_GT(limits.int8, 1e8);
    EXPECT_LT(limits.int8, 1e14);
  }
}

}  // namespace
}  // namespace margay
