// A session's answers do not depend on how the text is cut, on the threads, or on the company in the batch.
#include "runtime/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/progress.h"
#include "convert/quantize.h"
#include "formats/safetensors.h"
#include "tests/runtime/tiny_model.h"

namespace margay {
namespace {

using test::Variant;

constexpr int64_t kTokens = 150;  // of a sequence: more than two windows and blocks, and a ragged end

// Logits [B, T, vocabulary] of tokens [B, T], fed in pieces.
std::vector<float> all_logits(Session& session, std::span<const int32_t> tokens, int64_t piece) {
  const int64_t b = session.sequences(), total = static_cast<int64_t>(tokens.size()) / b, v = session.vocabulary();
  std::vector<float> logits(static_cast<size_t>(b * total * v));
  std::vector<int32_t> part;
  for (int64_t begin = 0; begin < total; begin += piece) {
    const int64_t count = std::min(piece, total - begin);
    part.clear();
    for (int64_t s = 0; s < b; ++s)
      part.insert(part.end(), tokens.begin() + s * total + begin, tokens.begin() + s * total + begin + count);
    session.feed_all_logits(part, [&](int64_t s, int64_t first, int64_t, std::span<const float> rows) {
      std::copy(rows.begin(), rows.end(), logits.begin() + (s * total + begin + first) * v);
    });
  }
  return logits;
}

std::vector<float> run_session(const Model& model, std::span<const int32_t> tokens, int64_t piece, int threads,
                               SessionOptions options) {
  Team team(threads);
  Session session(model, team, options);
  return all_logits(session, tokens, piece);
}

SessionOptions batch_of(int64_t sequences) {
  SessionOptions options;
  options.sequences = sequences;
  options.chunk = 4096;
  return options;
}

// Largest difference relative to the largest logit.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0, worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    largest = std::max(largest, std::abs(static_cast<double>(a[i])));
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst / largest;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Written and opened once.
const Model& model_of(const Variant& variant) {
  static std::map<std::string, std::unique_ptr<Model>> models;
  std::unique_ptr<Model>& model = models[variant.name];
  if (!model) model = std::make_unique<Model>(test::tiny_model(variant));
  return *model;
}

class SessionTest : public testing::TestWithParam<Variant> {
 protected:
  const Model& model_ = model_of(GetParam());
  const std::vector<int32_t> tokens_ = test::random_tokens(2 * kTokens, 7);
};

TEST_P(SessionTest, PiecesDoNotMatter) {
  const std::vector<float> whole = run_session(model_, tokens_, kTokens, 2, batch_of(2));
  for (const int64_t piece : {1, 7, 64, 100})
    EXPECT_LT(difference(whole, run_session(model_, tokens_, piece, 2, batch_of(2))), 1e-5) << "pieces of " << piece;
}

TEST_P(SessionTest, ThreadsDoNotMatter) {
  for (const int64_t piece : {int64_t{1}, int64_t{37}, kTokens}) {
    const std::vector<float> one = run_session(model_, tokens_, piece, 1, batch_of(2));
    for (const int threads : {2, 3})
      EXPECT_TRUE(same_bits(one, run_session(model_, tokens_, piece, threads, batch_of(2)))) << threads << " threads, "
                                                                                             << "pieces of " << piece;
  }
}

TEST_P(SessionTest, CompanyDoesNotMatter) {
  const size_t half = tokens_.size() / 2;
  const std::vector<float> both = run_session(model_, tokens_, 64, 2, batch_of(2));
  for (size_t s = 0; s < 2; ++s) {
    const std::vector<float> alone =
        run_session(model_, std::span(tokens_).subspan(s * half, half), 64, 2, batch_of(1));
    const std::vector<float> part(both.begin() + static_cast<int64_t>(s * both.size() / 2),
                                  both.begin() + static_cast<int64_t>((s + 1) * both.size() / 2));
    EXPECT_LT(difference(alone, part), 1e-5) << "sequence " << s;
  }
}

// Silent cross-talk between sequences is the worst bug a server can have.
TEST_P(SessionTest, EqualSequencesGetEqualBits) {
  std::vector<int32_t> tokens;
  for (int s = 0; s < 5; ++s) tokens.insert(tokens.end(), tokens_.begin(), tokens_.begin() + 90);
  const std::vector<float> logits = run_session(model_, tokens, 1, 2, batch_of(5));
  const size_t row = logits.size() / 5;
  for (size_t s = 1; s < 5; ++s)
    EXPECT_EQ(std::memcmp(&logits[0], &logits[s * row], row * sizeof(float)), 0) << "sequence " << s;
}

TEST_P(SessionTest, OwnPositionsAndReset) {
  Team team(2);
  Session session(model_, team, batch_of(2));
  const std::vector<float> first = all_logits(session, tokens_, 64);
  session.reset(1);  // sequence 0 goes on, sequence 1 begins anew
  EXPECT_EQ(session.position(0), kTokens);
  EXPECT_EQ(session.position(1), 0);
  const std::vector<float> second = all_logits(session, tokens_, 64);
  EXPECT_EQ(session.position(0), 2 * kTokens);
  const size_t half = first.size() / 2;
  EXPECT_EQ(std::memcmp(&first[half], &second[half], half * sizeof(float)), 0);
  EXPECT_NE(std::memcmp(&first[0], &second[0], half * sizeof(float)), 0);
  session.reset();
  EXPECT_TRUE(same_bits(first, all_logits(session, tokens_, 64)));
}

TEST_P(SessionTest, LastLogitsAreTheLastOnes) {
  Team team(2);
  SessionOptions options = batch_of(2);
  const std::vector<float> all = run_session(model_, tokens_, kTokens, 2, options);
  options.chunk = 2 * 40;  // 150 = 40 + 40 + 40 + 30
  Session session(model_, team, options);
  EXPECT_TRUE(session.logits().empty());
  session.feed(tokens_);
  const size_t v = static_cast<size_t>(session.vocabulary());
  for (size_t s = 0; s < 2; ++s) {
    const std::span<const float> last = session.logits(static_cast<int64_t>(s));
    const auto expected = all.begin() + static_cast<int64_t>(((s + 1) * kTokens - 1) * v);
    EXPECT_LT(difference({expected, expected + static_cast<int64_t>(v)}, {last.begin(), last.end()}), 1e-5);
  }
}

TEST_P(SessionTest, ManyLengthsComeAndGo) {
  Team team(2);
  Session session(model_, team, batch_of(1));
  const std::span<const int32_t> tokens(tokens_);
  int64_t at = 0;
  for (int64_t length = 1; at + length <= kTokens; at += length++)
    session.feed(tokens.subspan(static_cast<size_t>(at), static_cast<size_t>(length)));
  EXPECT_EQ(session.position(), at);
  const std::vector<float> last(session.logits().begin(), session.logits().end());
  session.reset();
  session.feed(tokens.first(static_cast<size_t>(at)));
  EXPECT_LT(difference({session.logits().begin(), session.logits().end()}, last), 1e-5);
}

TEST_P(SessionTest, StateBytes) {
  Team team(1);
  Session session(model_, team, batch_of(1));
  EXPECT_EQ(session.state_bytes() == 0, !model_.linear.any());
  session.feed(std::span(tokens_).first(100));
  EXPECT_EQ(session.kv_bytes(), 100 * model_.kv_bytes_per_token());
  EXPECT_GE(session.linear_bytes(), model_.linear_state_bytes());
  EXPECT_EQ(session.unlimited(), model_.kv_bytes_per_token() == 0);
}

TEST_P(SessionTest, WrongTokensChangeNothing) {
  Team team(1);
  Session session(model_, team, batch_of(2));
  const int32_t one = 1, negative[] = {1, -1}, large[] = {1024, 1};
  EXPECT_THROW(session.feed(std::span<const int32_t>(&one, 1)), Error);  // two sequences
  EXPECT_THROW(session.feed(std::span<const int32_t>()), Error);
  EXPECT_THROW(session.feed(negative), Error);
  EXPECT_THROW(session.feed(large), Error);
  EXPECT_EQ(session.position(), 0);
}

INSTANTIATE_TEST_SUITE_P(Runtime, SessionTest, testing::ValuesIn(test::variants()),
                         [](const auto& info) { return std::string(info.param.name); });

const Variant& variant(const std::string& name) {
  for (const Variant& row : test::variants())
    if (name == row.name) return row;
  fail("no variant {}", name);
}

TEST(Session, FullContextIsAnError) {
  const Model& model = model_of(variant("hybrid"));
  Team team(1);
  SessionOptions options;
  options.capacity = 10;
  Session session(model, team, options);
  session.feed(test::random_tokens(8, 1));
  EXPECT_EQ(session.context_left(), 2);
  EXPECT_THROW(session.feed(test::random_tokens(3, 1)), Error);
  EXPECT_EQ(session.position(), 8);
  session.feed(test::random_tokens(2, 1));
  EXPECT_THROW(session.feed(1), Error);
  session.reset();
  session.feed(test::random_tokens(10, 1));
}

TEST(Session, SoftmaxOfALinearizedModelIsItsBase) {
  const Model &linear = model_of(variant("terraced")), &base = model_of(variant("softmax"));
  const std::vector<int32_t> tokens = test::random_tokens(100, 3);
  SessionOptions softmax;
  softmax.softmax = true;
  const std::vector<float> expected = run_session(base, tokens, 100, 1, {});
  EXPECT_TRUE(same_bits(expected, run_session(linear, tokens, 100, 1, softmax)));
  EXPECT_GT(difference(expected, run_session(linear, tokens, 100, 1, {})), 1e-3);
}

TEST(Session, WindowOnlyDropsOldText) {
  const Model& model = model_of(variant("terraced"));
  const std::vector<int32_t> tokens = test::random_tokens(200, 3);
  SessionOptions window_only;
  window_only.window_only = true;
  const std::vector<float> full = run_session(model, tokens, 200, 1, {}),
                           window = run_session(model, tokens, 200, 1, window_only);
  EXPECT_GT(difference(full, window), 1e-4);
  EXPECT_LT(difference(window, run_session(model, tokens, 1, 1, window_only)), 1e-5);
}

// Their last digits are compared by tests/convert/golden_test.cpp, which knows about the fixture's rounded RoPE.
TEST(Session, ImportedModel) {
  const std::string folder = test::data("hf/tiny-llama3"), path = test::scratch("runtime-llama3.gguf");
  set_progress_quiet(true);
  convert_model(folder, path, DType::F32, 1);
  const Model model(path);
  const Safetensors golden(folder + "/golden.safetensors");
  const std::vector<int64_t> ids = to_int64(golden.tensor("input_ids"));
  const std::vector<int32_t> tokens(ids.begin(), ids.end());
  const std::vector<float> whole = run_session(model, tokens, 96, 2, {});
  EXPECT_LT(difference(to_float(golden.tensor("logits")), whole), 0.05);
  for (const int64_t piece : {1, 7, 64}) EXPECT_LT(difference(whole, run_session(model, tokens, piece, 2, {})), 1e-5);
}

}  // namespace
}  // namespace margay
