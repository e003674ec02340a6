// From logits to the next token.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace margay {

// Filters apply in this order (Hugging Face's): repetition penalty, temperature, top-k, top-p and min-p (both on the
// distribution that top-k left). The default is greedy.
struct SamplerOptions {
  float temperature = 0;       // 0: the most likely token, whatever the filters below say
  int32_t top_k = 0;           // keep the k most likely tokens; 0: all
  float top_p = 1;             // keep the fewest tokens whose probabilities reach p; 1: all
  float min_p = 0;             // drop tokens less likely than min_p times the most likely one; 0: none
  float repeat_penalty = 1;    // logits of recent tokens: divided by it where positive, else multiplied; 1: off
  int32_t repeat_last_n = 64;  // recent tokens that count, the prompt's too
  uint64_t seed = 0;
  uint64_t stream = 0;  // of the seed: document n of a seed draws the same numbers in any batch
};

// Allocates on the first sample() only. Equal logits: the lower id counts as more likely.
class Sampler {
 public:
  // Throws Error naming an option that is out of range.
  explicit Sampler(const SamplerOptions& options);

  // Draws a token from logits [vocabulary]. Throws Error when they are not finite.
  int32_t sample(std::span<const float> logits);
  void accept(int32_t id);  // a token of the text, for the repetition penalty
  void accept(std::span<const int32_t> ids);

  struct Candidate {
    float logit;
    int32_t id;
    float weight;  // probability times a constant
  };
  // What the last sample() drew from, in no order; empty after a greedy one.
  std::span<const Candidate> candidates() const { return candidates_; }

 private:
  std::span<const float> penalize(std::span<const float> logits);
  void keep_top_k(std::span<const float> logits);
  void weigh();
  void keep_top_p();
  float nats_below_best(const Candidate& candidate) const;
  int32_t draw();

  SamplerOptions options_;
  Random random_;
  std::vector<int32_t> recent_;  // ring of repeat_last_n
  size_t next_recent_ = 0;
  std::vector<float> penalized_;
  std::vector<Candidate> candidates_, boundary_;
  float best_ = 0;            // logit of the likeliest candidate
  std::vector<double> mass_;  // of the buckets of keep_top_p
};

}  // namespace margay
