#include "base/cpu.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace margay {
namespace {

// Sets MARGAY_ISA for the test's duration.
class Wish {
 public:
  explicit Wish(const char* name) {
    if (const char* old = std::getenv("MARGAY_ISA")) before_ = old;
    setenv("MARGAY_ISA", name, 1);
  }
  ~Wish() {
    if (before_.empty()) unsetenv("MARGAY_ISA");
    else setenv("MARGAY_ISA", before_.c_str(), 1);
  }

 private:
  std::string before_;
};

TEST(Isa, TheEnvironmentChoosesAmongThoseThatAreThere) {
  for (int i = 0; i < kIsaCount; ++i) {
    const Isa isa = static_cast<Isa>(i);
    const Wish wish(isa_name(isa));
    if (isa_available(isa)) {
      EXPECT_EQ(chosen_isa(), isa) << isa_name(isa);
    } else {
      EXPECT_THROW(chosen_isa(), Error) << isa_name(isa);
    }
  }
}

TEST(Isa, UnknownNamesAreRefusedWithTheKnownOnes) {
  const Wish wish("sse9");
  try {
    chosen_isa();
    FAIL();
  } catch (const Error& e) {
    for (int i = 0; i < kIsaCount; ++i)
      EXPECT_NE(std::string(e.what()).find(isa_name(static_cast<Isa>(i))), std::string::npos) << e.what();
  }
}

TEST(Isa, TheBestIsChosen) {
  const Wish none("");
  const int best = static_cast<int>(chosen_isa());
  for (int i = 0; i < kIsaCount; ++i)
    EXPECT_EQ(isa_available(static_cast<Isa>(i)), i <= best) << isa_name(static_cast<Isa>(i));
}

}  // namespace
}  // namespace margay
