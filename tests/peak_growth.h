// By how much a test raised the peak of the process's resident memory.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>

#include "base/memory.h"

namespace margay::test {

// From its construction on. Sanitizers keep memory of their own, so their builds check nothing here.
class PeakGrowth {
 public:
  void expect_below([[maybe_unused]] int64_t mib) const {
#ifndef MARGAY_SANITIZED
    EXPECT_LT(peak_resident_bytes() - before_, mib << 20);
#endif
  }

 private:
  [[maybe_unused]] int64_t before_ = peak_resident_bytes();
};

}  // namespace margay::test
