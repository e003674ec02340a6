// RoPE scaling of config.json, in the form of transformers 5 (rope_parameters) and the older one (rope_scaling). The
// formulas are those of transformers' modeling_rope_utils.
#include <cmath>

#include "base/error.h"
#include "convert/huggingface_models.h"

namespace margay {
namespace {

int64_t rotated(const HfConfig& hf, double usual_part, int64_t head_dim) {
  const bool partial = usual_part > 0;
  double part = partial ? usual_part : 1;
  for (const char* key :
       {"partial_rotary_factor", "rope_scaling.partial_rotary_factor", "rope_parameters.partial_rotary_factor"}) {
    part = hf.number_or(key, part);
    require(partial || part == 1, "{}: {} is {}: rotating a part of each head is not supported for {}", hf.path(), key,
            part, hf.model_type);
  }
  require(part > 0 && part <= 1, "{}: partial_rotary_factor is {}, expected more than 0, up to 1", hf.path(), part);
  const auto dimensions = static_cast<int64_t>(static_cast<double>(head_dim) * part);
  require(dimensions >= 2 && dimensions <= head_dim && dimensions % 2 == 0,
          "{}: partial_rotary_factor {} of {} elements a head rotates {}, expected an even number", hf.path(), part,
          head_dim, dimensions);
  return dimensions;
}

// Numbers that the scaling needs and the file may lack.
int64_t original_context(const HfConfig& hf, const RopeConfig& rope, int64_t otherwise) {
  const int64_t original =
      rope.original_max_position_embeddings > 0 ? rope.original_max_position_embeddings : otherwise;
  require(original >= 2, "{}: {} RoPE scaling has no original_max_position_embeddings", hf.path(), rope.type);
  return original;
}

double factor_of(const HfConfig& hf, const RopeConfig& rope) {
  require(rope.has_factor, "{}: {} RoPE scaling has no factor", hf.path(), rope.type);
  return rope.factor;
}

std::vector<float> factor_list(const HfConfig& hf, const char* key, const std::vector<double>& list, int64_t pairs) {
  require(static_cast<int64_t>(list.size()) == pairs, "{}: longrope's {} has {} numbers, expected {}", hf.path(), key,
          list.size(), pairs);
  for (const double value : list)
    require(value > 0, "{}: longrope's {} holds {}, expected positive numbers", hf.path(), key, value);
  return {list.begin(), list.end()};
}

RopeScaling yarn(const HfConfig& hf, const RopeConfig& rope, const ModelConfig& config) {
  RopeScaling scaling{RopeScalingKind::kYarn};
  scaling.original_context = original_context(hf, rope, config.context);
  scaling.factor = rope.has_factor
                       ? rope.factor
                       : static_cast<double>(config.context) / static_cast<double>(scaling.original_context);
  const auto magnitude = [&](double part) {
    return scaling.factor > 1 ? 0.1 * part * std::log(scaling.factor) + 1 : 1;
  };
  scaling.attention_factor = rope.attention_factor > 0 ? rope.attention_factor
                             : rope.mscale != 0 && rope.mscale_all_dim != 0
                                 ? magnitude(rope.mscale) / magnitude(rope.mscale_all_dim)
                                 : yarn_attention_factor(scaling.factor);
  scaling.beta_fast = rope.beta_fast, scaling.beta_slow = rope.beta_slow;
  require(rope.truncate, "{}: YaRN with truncate false is not supported", hf.path());
  return scaling;
}

RopeFactors llama3(const HfConfig& hf, const RopeConfig& rope, const ModelConfig& config) {
  require(rope.low_freq_factor > 0 && rope.high_freq_factor > rope.low_freq_factor,
          "{}: llama3 RoPE scaling has low_freq_factor {} and high_freq_factor {}, expected 0 < low < high", hf.path(),
          rope.low_freq_factor, rope.high_freq_factor);
  const Llama3Scaling scaling{rope.factor, rope.low_freq_factor, rope.high_freq_factor, original_context(hf, rope, 0)};
  return {"rope_freqs.weight", llama3_rope_factors(scaling, config.rope_base, config.rope_dimensions)};
}

std::vector<RopeFactors> longrope(const HfConfig& hf, const RopeConfig& rope, ModelConfig& config) {
  RopeScaling& scaling = config.rope_scaling;
  scaling.kind = RopeScalingKind::kLongRope;
  scaling.original_context = original_context(hf, rope, config.context);
  const double growth = rope.has_factor
                            ? rope.factor
                            : static_cast<double>(config.context) / static_cast<double>(scaling.original_context);
  scaling.attention_factor =
      rope.attention_factor > 0 ? rope.attention_factor : longrope_attention_factor(growth, scaling.original_context);
  const int64_t pairs = config.rope_dimensions / 2;
  return {{"rope_factors_long.weight", factor_list(hf, "long_factor", rope.long_factor, pairs)},
          {"rope_factors_short.weight", factor_list(hf, "short_factor", rope.short_factor, pairs)}};
}

}  // namespace

void read_rope(const HfConfig& hf, double part, HfModelConfig& result) {
  ModelConfig& config = result.model;
  RopeConfig rope = hf.rope();
  config.rope_base = rope.theta;
  config.rope_dimensions = rotated(hf, part, config.head_dim);
  // Phi-3's early names of longrope.
  if (config.architecture == "phi3" && (rope.type == "su" || rope.type == "yarn")) rope.type = "longrope";
  if (rope.type == "default") return;
  if (rope.type == "llama3") {
    result.rope_factors = {llama3(hf, rope, config)};
  } else if (rope.type == "longrope") {
    result.rope_factors = longrope(hf, rope, config);
  } else if (rope.type == "linear") {
    config.rope_scaling = {RopeScalingKind::kLinear, factor_of(hf, rope)};
  } else if (rope.type == "dynamic") {
    config.rope_scaling = {RopeScalingKind::kDynamic, factor_of(hf, rope), config.context};
    require(config.rope_dimensions > 2, "{}: dynamic RoPE scaling of 2 dimensions a head", hf.path());
  } else if (rope.type == "yarn") {
    config.rope_scaling = yarn(hf, rope, config);
  } else {
    fail("{}: RoPE scaling '{}' is not supported; default, linear, dynamic, yarn, longrope and llama3 are", hf.path(),
         rope.type);
  }
}

}  // namespace margay
