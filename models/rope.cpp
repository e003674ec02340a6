#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "models/config.h"

namespace margay {
namespace {

// The pair whose wave turns `turns` times within `context` tokens, as a real number.
double pair_of_turns(double turns, double context, double base, int64_t dimensions) {
  return static_cast<double>(dimensions) * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

std::vector<float> yarn_factors(const RopeScaling& scaling, double base, int64_t dimensions) {
  const auto context = static_cast<double>(scaling.original_context);
  const double low = std::max(0.0, std::floor(pair_of_turns(scaling.beta_fast, context, base, dimensions)));
  double high = std::min(static_cast<double>(dimensions - 1),
                         std::ceil(pair_of_turns(scaling.beta_slow, context, base, dimensions)));
  if (high == low) high += 0.001;
  std::vector<float> factors;
  for (int64_t i = 0; i < dimensions / 2; ++i) {
    const double stretched = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / (stretched / scaling.factor + 1 - stretched)));
  }
  return factors;
}

double dynamic_base(const ModelConfig& config, int64_t length) {
  const RopeScaling& scaling = config.rope_scaling;
  if (length <= scaling.original_context) return config.rope_base;
  const double growth = static_cast<double>(length) / static_cast<double>(scaling.original_context);
  const auto d = static_cast<double>(config.rope_dimensions);
  return config.rope_base * std::pow(scaling.factor * growth - (scaling.factor - 1), d / (d - 2));
}

// A number of the file that must be positive.
double positive(const GgufFile& file, const std::string& key, double otherwise) {
  const double value = file.f64_or(key, otherwise);
  require(std::isfinite(value) && value > 0, "{}: {} is {}, expected a positive number", file.path(), key, value);
  return value;
}

}  // namespace

double yarn_attention_factor(double factor) { return factor > 1 ? 1 + 0.1 * std::log(factor) : 1; }

double longrope_attention_factor(double factor, int64_t original_context) {
  return factor > 1 ? std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(original_context))) : 1;
}

RopeFrequencies rope_frequencies(const ModelConfig& config, int64_t length) {
  const RopeScaling& scaling = config.rope_scaling;
  RopeFrequencies result{config.rope_base, {}, "", static_cast<float>(scaling.attention_factor)};
  switch (scaling.kind) {
    case RopeScalingKind::kNone:
      result.factor_tensor = "rope_freqs.weight";
      break;
    case RopeScalingKind::kLinear:
      result.factors.assign(static_cast<size_t>(config.rope_dimensions / 2), static_cast<float>(scaling.factor));
      break;
    case RopeScalingKind::kDynamic:
      result.base = dynamic_base(config, length);
      break;
    case RopeScalingKind::kYarn:
      result.factors = yarn_factors(scaling, config.rope_base, config.rope_dimensions);
      break;
    case RopeScalingKind::kLongRope:
      result.factor_tensor =
          length > scaling.original_context ? "rope_factors_long.weight" : "rope_factors_short.weight";
      break;
  }
  return result;
}

std::vector<float> llama3_rope_factors(const Llama3Scaling& scaling, double base, int64_t dimensions) {
  const auto original = static_cast<double>(scaling.original_context);
  const double longest = original / scaling.low_freq_factor, shortest = original / scaling.high_freq_factor;
  std::vector<float> factors;
  for (int64_t i = 0; i < dimensions / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(dimensions);
    const double wavelength = 2 * std::numbers::pi * std::pow(base, exponent);  // tokens
    double factor = scaling.factor;
    if (wavelength < shortest) {
      factor = 1;
    } else if (wavelength <= longest) {
      const double smooth =
          (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
      factor = 1 / ((1 - smooth) / scaling.factor + smooth);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

// llama.cpp: without a type, a factor means linear scaling; Phi-3's files may have no type but the two tensors.
RopeScaling read_rope_scaling(const GgufFile& file, const std::string& prefix, int64_t context) {
  const auto key = [&](const char* name) { return prefix + ".rope." + name; };
  RopeScaling scaling;
  const bool two_sets = file.find("rope_factors_long.weight") != nullptr;
  std::string type(file.string_or(key("scaling.type"), two_sets ? "longrope" : "linear"));
  const bool dynamic = file.has(key("scaling.dynamic_factor"));
  if (dynamic) type = "dynamic";
  scaling.factor = positive(file, dynamic ? key("scaling.dynamic_factor") : key("scaling.factor"),
                            file.f64_or(key("scale_linear"), 1));
  scaling.original_context =
      static_cast<int64_t>(file.u64_or(key("scaling.original_context_length"), static_cast<uint64_t>(context)));
  require(scaling.original_context >= 2 && scaling.original_context <= 1 << 30, "{}: {} is {}, expected 2 to 2^30",
          file.path(), key("scaling.original_context_length"), scaling.original_context);
  scaling.attention_factor = positive(file, key("scaling.attn_factor"), 1);
  if (type == "none" || (type == "linear" && scaling.factor == 1)) return {};
  if (type == "linear") {
    scaling.kind = RopeScalingKind::kLinear, scaling.attention_factor = 1;
  } else if (type == "dynamic") {
    scaling.kind = RopeScalingKind::kDynamic, scaling.attention_factor = 1;
  } else if (type == "longrope") {
    scaling.kind = RopeScalingKind::kLongRope;
  } else if (type == "yarn") {
    scaling.kind = RopeScalingKind::kYarn;
    scaling.attention_factor *=
        yarn_attention_factor(scaling.factor) * positive(file, key("scaling.yarn_attn_factor"), 1);
    scaling.beta_fast = positive(file, key("scaling.yarn_beta_fast"), scaling.beta_fast);
    scaling.beta_slow = positive(file, key("scaling.yarn_beta_slow"), scaling.beta_slow);
    for (const auto& [name, only] : {std::pair{"scaling.yarn_ext_factor", 1.0}, {"scaling.yarn_log_multiplier", 0.0}})
      require(file.f64_or(key(name), only) == only, "{}: {} is {}, only {} is supported", file.path(), key(name),
              file.f64_or(key(name), only), only);
  } else {
    fail("{}: RoPE scaling '{}' is not supported; none, linear, yarn, longrope, dynamic and llama3 are", file.path(),
         type);
  }
  return scaling;
}

void write_rope_scaling(GgufWriter& writer, const std::string& prefix, const RopeScaling& scaling) {
  const auto set = [&](const char* name, const auto& value) { writer.set(prefix + ".rope.scaling." + name, value); };
  const auto f32 = [](double value) { return static_cast<float>(value); };
  const auto original_context = [&] {
    set("original_context_length", static_cast<uint32_t>(scaling.original_context));
  };
  switch (scaling.kind) {
    case RopeScalingKind::kNone:
      return;
    case RopeScalingKind::kLinear:
      set("type", "linear");
      set("factor", f32(scaling.factor));
      return;
    case RopeScalingKind::kDynamic:  // a key of ours: others run the model within its original context
      set("type", "none");
      set("dynamic_factor", f32(scaling.factor));
      return original_context();
    case RopeScalingKind::kYarn:
      set("type", "yarn");
      set("factor", f32(scaling.factor));
      set("attn_factor", f32(scaling.attention_factor / yarn_attention_factor(scaling.factor)));
      set("yarn_beta_fast", f32(scaling.beta_fast));
      set("yarn_beta_slow", f32(scaling.beta_slow));
      return original_context();
    case RopeScalingKind::kLongRope:
      set("type", "longrope");
      set("attn_factor", f32(scaling.attention_factor));
      return original_context();
  }
}

}  // namespace margay
