// RoPE's frequencies under the scalings that stretch a model's context.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf.h"

namespace margay {

struct ModelConfig;

enum class RopeScalingKind {
  kNone,      // or Llama 3.1's, which is the tensor rope_freqs.weight alone
  kLinear,    // every frequency is divided by `factor`
  kDynamic,   // NTK: past the original context the base grows with the text's length
  kYarn,      // high frequencies stay, low ones are divided by `factor`, a ramp between (arXiv 2309.00071)
  kLongRope,  // tensors rope_factors_short.weight and, past the original context, rope_factors_long.weight
};

struct RopeScaling {
  RopeScalingKind kind = RopeScalingKind::kNone;
  double factor = 1;
  int64_t original_context = 0;          // tokens
  double attention_factor = 1;           // of cosines and sines (YaRN, longrope)
  double beta_fast = 32, beta_slow = 1;  // YaRN: turns within the original context at the ramp's ends

  // Whether frequencies depend on how long a text is to become.
  bool by_length() const { return kind == RopeScalingKind::kDynamic || kind == RopeScalingKind::kLongRope; }
};

// YaRN's own attention factor: 1 + 0.1 ln(factor).
double yarn_attention_factor(double factor);
// Longrope's: sqrt(1 + ln(factor) / ln(original context)) where factor, the context's growth, is above 1.
double longrope_attention_factor(double factor, int64_t original_context);

// What rope_table() takes. factors: [dimensions / 2], or none.
struct RopeFrequencies {
  double base;
  std::vector<float> factors;
  std::string factor_tensor;  // the weight that holds the factors instead; rope_freqs.weight may be absent
  float magnitude;
};
// For a text of up to `length` tokens.
RopeFrequencies rope_frequencies(const ModelConfig& config, int64_t length);

// The divisors [dimensions / 2] of Llama 3.1's scaling: 1 for waves shorter than original / high, factor for those
// longer than original / low, a ramp between.
struct Llama3Scaling {
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_context = 8192;
};
std::vector<float> llama3_rope_factors(const Llama3Scaling& scaling, double base, int64_t dimensions);

// Keys <prefix>.rope.scaling.* of GGUF, `prefix` being the architecture; `context` is <prefix>.context_length. Throws
// Error naming what is not supported.
RopeScaling read_rope_scaling(const GgufFile& file, const std::string& prefix, int64_t context);
void write_rope_scaling(GgufWriter& writer, const std::string& prefix, const RopeScaling& scaling);

}  // namespace margay
