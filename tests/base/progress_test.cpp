#include "base/progress.h"

#include <gtest/gtest.h>

#include "base/interrupt.h"

namespace margay {
namespace {

TEST(Progress, DurationsReadAsPeopleSayThem) {
  EXPECT_EQ(duration_text(0.42), "0.4s");
  EXPECT_EQ(duration_text(59.4), "59s");
  EXPECT_EQ(duration_text(85), "1m25s");
  EXPECT_EQ(duration_text(7320), "2h02m");
  EXPECT_EQ(duration_text(86400 * 3 + 7200), "3d02h");
  EXPECT_EQ(duration_text(-1), "?");
}

TEST(Progress, AmountsHaveThreeDigits) {
  EXPECT_EQ(amount_text(0, "B"), "0 B");
  EXPECT_EQ(amount_text(1234567, "B"), "1.23 MB");
  EXPECT_EQ(amount_text(999, "B"), "999 B");
  EXPECT_EQ(amount_text(12, "steps"), "12 steps");
  EXPECT_EQ(amount_text(5400, "steps"), "5400 steps");
  EXPECT_EQ(amount_text(54321, "tokens"), "54.3k tokens");
}

TEST(Progress, LinesOutsideATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("reading", 10, "pages");
    progress.advance(4);
    progress.note("loss 1.5");
    progress.advance(6);
    progress.finish();
    progress.finish();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.substr(0, text.find('\n')), "reading: 0 of 10 pages (0 %)");
  EXPECT_NE(text.find("\nreading: 10 pages in 0.0s, "), std::string::npos) << text;
  EXPECT_NE(text.find(", loss 1.5\n"), std::string::npos) << text;

  testing::internal::CaptureStderr();
  set_progress_quiet(true);
  {
    Progress progress("reading", 10, "pages");
    progress.advance(10);
    progress.finish();
  }
  set_progress_quiet(false);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Interrupt, FlagThrows) {
  EXPECT_NO_THROW(throw_if_interrupted());
  set_interrupted(true);
  EXPECT_THROW(throw_if_interrupted(), Interrupted);
  EXPECT_THROW(throw_if_interrupted(), Error);
  set_interrupted(false);
  EXPECT_FALSE(interrupted());
}

}  // namespace
}  // namespace margay
