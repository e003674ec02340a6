// The fixtures (golden.safetensors and lolcats/train_*) were computed by models that had been cast to the type of their
// weights as a whole, so that RoPE's inverse frequencies were rounded too: to BF16 for tiny-llama3 and tiny-qwen2, to
// F16 for tiny-llama2 and tiny-phi. margay computes them in double. To compare the rest to the last digits, these
// factors give margay the same rounded frequencies.
#pragma once
#include <cmath>
#include <vector>

#include "base/half.h"
#include "models/config.h"
#include "models/weights.h"

namespace margay::test {

// rope_freqs.weight under which frequency i is base^(-2i / d) / factor i, rounded to `type` (BF16, F16 or F32). Put it
// into a WeightSet by set_rope_factors(); it must live as long as the model built from that.
inline std::vector<float> rounded_rope_factors(const ModelConfig& config, const WeightSet& weights,
                                               DType type = DType::BF16) {
  const WeightRef* given = weights.find("rope_freqs.weight");
  std::vector<float> factors;
  for (int64_t i = 0; i < config.rope_dimensions / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(config.rope_dimensions);
    const double plain = std::pow(config.rope_base, exponent);
    const double frequency = given ? plain / static_cast<const float*>(given->data)[i] : plain;
    auto rounded = static_cast<float>(frequency);
    if (type == DType::BF16) rounded = bf16_to_float(float_to_bf16(rounded));
    if (type == DType::F16) rounded = half_to_float(float_to_half(rounded));
    factors.push_back(static_cast<float>(plain / rounded));
  }
  return factors;
}

inline void set_rope_factors(WeightSet& weights, const std::vector<float>& factors) {
  weights.set("rope_freqs.weight", {make_shape({static_cast<int64_t>(factors.size())}), DType::F32, factors.data()});
}

}  // namespace margay::test
