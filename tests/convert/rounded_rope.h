// The fixtures of tiny-llama3 (golden.safetensors and lolcats/train_*) were computed by a model that had been cast to
// BF16 as a whole, so that RoPE's inverse frequencies were rounded too; margay computes them in double. To compare the
// rest to the last digits, these factors give margay the same rounded frequencies.
#pragma once
#include <cmath>
#include <vector>

#include "base/half.h"
#include "models/config.h"
#include "models/weights.h"

namespace margay::test {

// rope_freqs.weight under which frequency i is BF16(base^(-2i / d) / factor i). Put it into a WeightSet by
// set_rope_factors(); it must live as long as the model built from that.
inline std::vector<float> rounded_rope_factors(const ModelConfig& config, const WeightSet& weights) {
  const WeightRef* given = weights.find("rope_freqs.weight");
  std::vector<float> factors;
  for (int64_t i = 0; i < config.rope_dimensions / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(config.rope_dimensions);
    const double plain = std::pow(config.rope_base, exponent);
    const double frequency = given ? plain / static_cast<const float*>(given->data)[i] : plain;
    factors.push_back(static_cast<float>(plain / bf16_to_float(float_to_bf16(static_cast<float>(frequency)))));
  }
  return factors;
}

inline void set_rope_factors(WeightSet& weights, const std::vector<float>& factors) {
  weights.set("rope_freqs.weight", {make_shape({static_cast<int64_t>(factors.size())}), DType::F32, factors.data()});
}

}  // namespace margay::test
