// Session::skip_to(): a sequence put far into a text, for benchmarks.
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/session.h"
#include "tests/runtime/tiny_model.h"

namespace margay {
namespace {

TEST(SkipTo, GoesOnWithFiniteLogits) {
  for (const test::Variant& variant : test::variants()) {
    SCOPED_TRACE(variant.name);
    const Model model(test::tiny_model(variant));
    Team team(1);
    SessionOptions options;
    options.sequences = 2;
    options.capacity = 2000;
    Session session(model, team, options);
    session.feed(test::random_tokens(2 * 80, 3));
    const int64_t linear = session.linear_bytes();
    session.skip_to(80 + 64 * 16);
    for (const int64_t b : {0, 1}) EXPECT_EQ(session.position(b), 80 + 64 * 16);
    session.feed(test::random_tokens(2 * 40, 4));
    EXPECT_EQ(session.linear_bytes(), linear);
    for (const int64_t b : {0, 1})
      for (const float logit : session.logits(b)) ASSERT_TRUE(std::isfinite(logit));
  }
}

TEST(SkipTo, RefusesWhatDoesNotFit) {
  const Model softmax(test::tiny_model(test::variants()[0])), linear(test::tiny_model(test::variants()[1]));
  Team team(1);
  SessionOptions options;
  options.capacity = 100;
  Session session(softmax, team, options);
  EXPECT_THROW(session.skip_to(50), Error) << "nothing is there to copy";
  session.feed(test::random_tokens(10, 1));
  EXPECT_THROW(session.skip_to(5), Error) << "backwards";
  EXPECT_THROW(session.skip_to(101), Error) << "beyond the cache";
  session.skip_to(100);
  EXPECT_EQ(session.context_left(), 0);
  Session endless(linear, team);
  endless.feed(test::random_tokens(10, 1));
  EXPECT_THROW(endless.skip_to(11), Error) << "no multiple of the window";
  endless.skip_to(10 + 160);
  EXPECT_EQ(endless.position(), 170);
}

}  // namespace
}  // namespace margay
