#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/half.h"

namespace margay {
namespace {

using Candidate = Sampler::Candidate;

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

int32_t argmax(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i)
    if (logits[i] > logits[best]) best = i;
  return static_cast<int32_t>(best);
}

// Buckets of keep_top_p: a quarter of a nat of probability each, the last one for all that is less likely.
constexpr int kBuckets = 256;
constexpr float kBucketsPerNat = 4;

// `nats`: how much less likely than the likeliest token.
int bucket_of(float nats) {
  return nats * kBucketsPerNat < kBuckets - 1 ? static_cast<int>(nats * kBucketsPerNat) : kBuckets - 1;
}

bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (const float value : values) bad |= (float_to_bits(value) & kExponent) == kExponent;
  return bad == 0;
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed, options.stream) {
  require(std::isfinite(options.temperature) && options.temperature >= 0, "temperature {}: use 0 or more",
          options.temperature);
  require(options.top_k >= 0, "top-k {}: use 0 (all tokens) or more", options.top_k);
  require(options.top_p > 0 && options.top_p <= 1, "top-p {}: use a number above 0, up to 1", options.top_p);
  require(options.min_p >= 0 && options.min_p <= 1, "min-p {}: use 0 to 1", options.min_p);
  require(std::isfinite(options.repeat_penalty) && options.repeat_penalty > 0,
          "repeat penalty {}: use a number above 0", options.repeat_penalty);
  require(options.repeat_last_n >= 0 && options.repeat_last_n <= 1 << 20, "repeat-last-n {}: use 0 to {}",
          options.repeat_last_n, 1 << 20);
  if (options.repeat_penalty != 1) recent_.reserve(static_cast<size_t>(options.repeat_last_n));
  mass_.resize(kBuckets);
}

void Sampler::accept(int32_t id) {
  if (recent_.capacity() == 0) return;
  const size_t limit = static_cast<size_t>(options_.repeat_last_n);
  if (recent_.size() < limit) {
    recent_.push_back(id);
  } else {
    recent_[next_recent_] = id;
    next_recent_ = (next_recent_ + 1) % limit;
  }
}

void Sampler::accept(std::span<const int32_t> ids) {
  for (const int32_t id : ids) accept(id);
}

// Each recent token once, however often it occurred.
std::span<const float> Sampler::penalize(std::span<const float> logits) {
  if (recent_.empty()) return logits;
  penalized_.assign(logits.begin(), logits.end());
  for (const int32_t id : recent_) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
    const float logit = logits[static_cast<size_t>(id)];
    penalized_[static_cast<size_t>(id)] = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
  }
  return penalized_;
}

// Fills candidates_: a heap of the k most likely so far, whose front is the one to beat.
void Sampler::keep_top_k(std::span<const float> logits) {
  const size_t k = options_.top_k > 0 ? static_cast<size_t>(options_.top_k) : logits.size();
  candidates_.clear();
  candidates_.reserve(std::min(k, logits.size()));
  for (size_t i = 0; i < logits.size(); ++i) {
    const Candidate candidate{logits[i], static_cast<int32_t>(i), 0};
    if (candidates_.size() < k) {
      candidates_.push_back(candidate);
      if (candidates_.size() == k && k < logits.size())
        std::make_heap(candidates_.begin(), candidates_.end(), likelier);
    } else if (likelier(candidate, candidates_.front())) {
      std::pop_heap(candidates_.begin(), candidates_.end(), likelier);
      candidates_.back() = candidate;
      std::push_heap(candidates_.begin(), candidates_.end(), likelier);
    }
  }
}

void Sampler::weigh() {
  best_ = candidates_.front().logit;
  for (const Candidate& candidate : candidates_) best_ = std::max(best_, candidate.logit);
  for (Candidate& candidate : candidates_) candidate.weight = std::exp(-nats_below_best(candidate));
}

float Sampler::nats_below_best(const Candidate& candidate) const {
  return (best_ - candidate.logit) / options_.temperature;
}

// Everything in the buckets before the one where the mass reaches p stays; only that one is sorted.
void Sampler::keep_top_p() {
  double total = 0;
  std::fill(mass_.begin(), mass_.end(), 0.0);
  for (const Candidate& candidate : candidates_) {
    mass_[static_cast<size_t>(bucket_of(nats_below_best(candidate)))] += static_cast<double>(candidate.weight);
    total += static_cast<double>(candidate.weight);
  }
  const double wanted = static_cast<double>(options_.top_p) * total;
  double before = 0;
  int last = 0;
  while (last < kBuckets - 1 && before + mass_[static_cast<size_t>(last)] < wanted)
    before += mass_[static_cast<size_t>(last++)];
  boundary_.clear();
  const auto outside = [&](const Candidate& candidate) {
    const int bucket = bucket_of(nats_below_best(candidate));
    if (bucket == last) boundary_.push_back(candidate);
    return bucket >= last;
  };
  candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(), outside), candidates_.end());
  std::sort(boundary_.begin(), boundary_.end(), likelier);
  for (const Candidate& candidate : boundary_) {
    if (before >= wanted) break;
    candidates_.push_back(candidate);
    before += static_cast<double>(candidate.weight);
  }
}

int32_t Sampler::draw() {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += static_cast<double>(candidate.weight);
  double rest = random_.uniform() * total;
  for (const Candidate& candidate : candidates_) {
    rest -= static_cast<double>(candidate.weight);
    if (rest < 0) return candidate.id;
  }
  return candidates_.back().id;  // rounding
}

int32_t Sampler::sample(std::span<const float> logits) {
  require(!logits.empty(), "no logits to sample from");
  require(all_finite(logits), "the model's logits are not finite: the model is damaged, or its numbers overflowed");
  logits = penalize(logits);
  candidates_.clear();
  if (options_.temperature == 0) return argmax(logits);
  keep_top_k(logits);
  weigh();
  if (options_.top_p < 1) {
    boundary_.reserve(logits.size());
    keep_top_p();
  }
  if (options_.min_p > 0)
    std::erase_if(candidates_, [this](const Candidate& candidate) { return candidate.weight < options_.min_p; });
  return draw();
}

}  // namespace margay
