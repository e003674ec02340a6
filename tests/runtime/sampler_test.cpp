#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"

namespace margay {
namespace {

std::vector<float> random_logits(size_t count, uint64_t seed, double scale = 3) {
  Random random(seed);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = static_cast<float>(scale * random.normal());
  return logits;
}

// The filters by a full sort: ids kept.
std::set<int32_t> kept_by_definition(const std::vector<float>& logits, const SamplerOptions& options) {
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  const auto logit = [&](int32_t id) { return static_cast<double>(logits[static_cast<size_t>(id)]); };
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logit(a) > logit(b); });
  if (options.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(options.top_k)));
  const auto weight = [&](int32_t id) {
    return std::exp((logit(id) - logit(order[0])) / static_cast<double>(options.temperature));
  };
  double total = 0, sum = 0;
  for (const int32_t id : order) total += weight(id);
  std::set<int32_t> kept;
  for (const int32_t id : order) {
    if (sum >= static_cast<double>(options.top_p) * total && options.top_p < 1) break;
    sum += weight(id);
    if (weight(id) >= static_cast<double>(options.min_p)) kept.insert(id);
  }
  return kept;
}

std::set<int32_t> kept_by(Sampler& sampler, const std::vector<float>& logits) {
  sampler.sample(logits);
  std::set<int32_t> kept;
  for (const Sampler::Candidate& candidate : sampler.candidates()) kept.insert(candidate.id);
  return kept;
}

TEST(Sampler, GreedyTakesTheFirstOfTheLikeliest) {
  Sampler sampler({});
  EXPECT_EQ(sampler.sample(std::vector<float>{-1, 3, 2, 3}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-5}), 0);
}

TEST(Sampler, FiltersAreTheirDefinitions) {
  for (const SamplerOptions& options : std::vector<SamplerOptions>{
           {.temperature = 1},
           {.temperature = 0.7f, .top_k = 40},
           {.temperature = 1, .top_k = 1},
           {.temperature = 1, .top_k = 5000},
           {.temperature = 0.9f, .top_p = 0.98f},
           {.temperature = 2, .top_p = 0.5f},
           {.temperature = 0.01f, .top_p = 0.9f},
           {.temperature = 1, .top_p = 1e-6f},
           {.temperature = 1.3f, .min_p = 0.05f},
           {.temperature = 0.8f, .top_k = 100, .top_p = 0.95f, .min_p = 0.02f},
       })
    for (const size_t size : {size_t{1}, size_t{37}, size_t{3000}}) {
      const std::vector<float> logits = random_logits(size, size);
      Sampler sampler(options);
      EXPECT_EQ(kept_by(sampler, logits), kept_by_definition(logits, options))
          << size << " logits, T " << options.temperature << " k " << options.top_k << " p " << options.top_p;
    }
}

TEST(Sampler, EqualLogitsAreKeptByIdAndFlatOnesSurvive) {
  const std::vector<float> flat(1000, 2.5f);
  SamplerOptions options{.temperature = 1, .top_k = 10};
  Sampler top_k(options);
  EXPECT_EQ(kept_by(top_k, flat), kept_by_definition(flat, options));
  options = {.temperature = 1, .top_p = 0.25f};
  Sampler top_p(options);
  EXPECT_EQ(kept_by(top_p, flat).size(), 250u);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  const std::vector<float> logits = random_logits(12, 5, 1);
  constexpr float kTemperature = 0.8f;
  constexpr int kDraws = 100000;
  Sampler sampler({.temperature = kTemperature, .seed = 11});
  std::vector<int> counts(logits.size());
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sampler.sample(logits))];
  double total = 0, chi_square = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit / kTemperature));
  for (size_t i = 0; i < logits.size(); ++i) {
    const double expected = kDraws * std::exp(static_cast<double>(logits[i] / kTemperature)) / total;
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi_square, 31.3);  // 11 degrees of freedom: 1 in 1000
}

TEST(Sampler, SeedsAndStreams) {
  const std::vector<float> logits = random_logits(500, 9, 1);
  const auto draws = [&](uint64_t seed, uint64_t stream) {
    Sampler sampler({.temperature = 1, .seed = seed, .stream = stream});
    std::vector<int32_t> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(sampler.sample(logits));
    return ids;
  };
  EXPECT_EQ(draws(1, 0), draws(1, 0));
  EXPECT_NE(draws(1, 0), draws(2, 0));
  EXPECT_NE(draws(1, 0), draws(1, 1));
  EXPECT_NE(draws(2, 0), draws(1, 1));
}

TEST(Sampler, RepetitionPenalty) {
  const std::vector<float> logits = {4, 3.5f, -1, -1.2f};
  Sampler sampler({.repeat_penalty = 2, .repeat_last_n = 2});
  EXPECT_EQ(sampler.sample(logits), 0);
  sampler.accept(0);
  sampler.accept(0);  // counts once
  EXPECT_EQ(sampler.sample(logits), 1);
  sampler.accept(1);  // 2, 1.75
  EXPECT_EQ(sampler.sample(logits), 0);
  sampler.accept(std::vector<int32_t>{2, 9});  // both are forgotten; an id without a logit is none
  EXPECT_EQ(sampler.sample(logits), 0);
  Sampler negative({.repeat_penalty = 2});
  negative.accept(0);
  EXPECT_EQ(negative.sample(std::vector<float>{-1, -1.5f}), 1);  // -2, -1.5
}

TEST(Sampler, WrongOptionsAndLogits) {
  EXPECT_THROW(Sampler({.temperature = -1}), Error);
  EXPECT_THROW(Sampler({.temperature = NAN}), Error);
  EXPECT_THROW(Sampler({.top_k = -1}), Error);
  EXPECT_THROW(Sampler({.top_p = 0}), Error);
  EXPECT_THROW(Sampler({.min_p = 2}), Error);
  EXPECT_THROW(Sampler({.repeat_penalty = 0}), Error);
  EXPECT_THROW(Sampler({.repeat_last_n = -1}), Error);
  Sampler sampler({});
  EXPECT_THROW(sampler.sample({}), Error);
  EXPECT_THROW(sampler.sample(std::vector<float>{1, NAN}), Error);
  EXPECT_THROW(sampler.sample(std::vector<float>{1, INFINITY}), Error);
}

TEST(Random, KnownNumbersAndState) {
  Random random(42), other(42);
  for (int i = 0; i < 10; ++i) random.next();
  Random copy(0);
  copy.set_state(random.state());
  EXPECT_EQ(copy.next(), random.next());
  EXPECT_NE(other.next(), random.next());
}

TEST(Random, BelowAndUniformCoverTheirRange) {
  Random random(3);
  std::vector<int> counts(7);
  double sum = 0, squares = 0, normal = 0, normal_squares = 0;
  constexpr int kDraws = 70000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[random.below(7)];
    const double u = random.uniform(), n = random.normal();
    EXPECT_TRUE(u >= 0 && u < 1);
    sum += u, squares += u * u, normal += n, normal_squares += n * n;
  }
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7, 400);
  EXPECT_NEAR(sum / kDraws, 0.5, 0.005);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 0.005);
  EXPECT_NEAR(normal / kDraws, 0, 0.02);
  EXPECT_NEAR(normal_squares / kDraws, 1, 0.03);
  EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace margay
