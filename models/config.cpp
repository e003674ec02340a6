#include "models/config.h"

#include <algorithm>
#include <cmath>

#include "models/build.h"

namespace margay {
namespace {

constexpr std::string_view kLinearSuffix = "-linear";

// A count from the file, within sane bounds for a model that fits a machine.
int64_t count(const GgufFile& file, const std::string& key, uint64_t largest) {
  const uint64_t value = file.u64(key);
  require(value >= 1 && value <= largest, "{}: {} is {}, expected 1 to {}", file.path(), key, value, largest);
  return static_cast<int64_t>(value);
}

std::string base_architecture(const GgufFile& file) {
  std::string name(file.string("general.architecture"));
  if (name.ends_with(kLinearSuffix)) name.resize(name.size() - kLinearSuffix.size());
  return name;
}

// A soft cap: 0 is none.
float soft_cap(const GgufFile& file, const std::string& key, float otherwise) {
  const double value = file.f64_or(key, static_cast<double>(otherwise));
  require(std::isfinite(value) && value >= 0, "{}: {} is {}, expected 0 (none) or more", file.path(), key, value);
  return static_cast<float>(value);
}

// Windows, scale and soft caps of attention.
void read_attention(const GgufFile& file, const std::string& prefix, const ArchitectureInfo& architecture,
                    ModelConfig& config) {
  const auto key = [&](const char* name) { return fmt::format("{}.{}", prefix, name); };
  const uint64_t window = file.u64_or(key("attention.sliding_window"), static_cast<uint64_t>(architecture.window));
  require(window <= 1 << 30, "{}: {} is {}, expected 0 (none) to 2^30", file.path(), key("attention.sliding_window"),
          window);
  config.window = static_cast<int64_t>(window);
  if (config.window > 0)
    config.windowed = file.booleans_or(key("attention.sliding_window_pattern"),
                                       alternating_windows(config.layers, architecture.window_period));
  require(config.windowed.empty() || static_cast<int64_t>(config.windowed.size()) == config.layers,
          "{}: {} names {} layers, the model has {}", file.path(), key("attention.sliding_window_pattern"),
          config.windowed.size(), config.layers);
  config.attention_soft_cap = soft_cap(file, key("attn_logit_softcapping"), architecture.attention_soft_cap);
  config.logit_soft_cap = soft_cap(file, key("final_logit_softcapping"), architecture.logit_soft_cap);
  // Files of Gemma 2 27B (46 layers) do not say that it scales by the width of a head as if it were C / H.
  const bool gemma27b = config.architecture == "gemma2" && config.layers == 46;
  const double usual = gemma27b ? std::sqrt(static_cast<double>(config.heads) / static_cast<double>(config.width)) : 0;
  config.attention_scale = file.f64_or(key("attention.scale"), usual);
  require(std::isfinite(config.attention_scale) && config.attention_scale >= 0, "{}: {} is {}", file.path(),
          key("attention.scale"), config.attention_scale);
}

void write_attention(GgufWriter& writer, const std::string& prefix, const ArchitectureInfo& architecture,
                     const ModelConfig& config) {
  const auto set = [&](const char* name, const auto& value) { writer.set(fmt::format("{}.{}", prefix, name), value); };
  if (config.window > 0 || architecture.window > 0)
    set("attention.sliding_window", static_cast<uint32_t>(config.window));
  if (config.window > 0 && config.windowed != alternating_windows(config.layers, architecture.window_period))
    set("attention.sliding_window_pattern",
        config.windowed.empty() ? std::vector<bool>(static_cast<size_t>(config.layers), true) : config.windowed);
  if (config.attention_scale > 0) set("attention.scale", static_cast<float>(config.attention_scale));
  if (architecture.attention_soft_cap > 0) set("attn_logit_softcapping", config.attention_soft_cap);
  if (architecture.logit_soft_cap > 0) set("final_logit_softcapping", config.logit_soft_cap);
}

}  // namespace

float ModelConfig::score_scale() const {
  return static_cast<float>(attention_scale > 0 ? attention_scale : 1 / std::sqrt(static_cast<double>(head_dim)));
}

std::vector<bool> alternating_windows(int64_t layers, int64_t period) {
  std::vector<bool> windowed;
  for (int64_t l = 0; period > 0 && l < layers; ++l) windowed.push_back((l + 1) % period != 0);
  return windowed;
}

bool LinearConfig::any() const { return std::find(layers.begin(), layers.end(), true) != layers.end(); }

const char* window_kind_name(WindowKind kind) {
  constexpr const char* kNames[] = {"none", "sliding", "terraced"};
  return kNames[static_cast<int>(kind)];
}

WindowKind window_kind_from_name(const std::string& name) {
  for (const WindowKind kind : {WindowKind::kNone, WindowKind::kSliding, WindowKind::kTerraced})
    if (name == window_kind_name(kind)) return kind;
  fail("unknown window kind '{}'; there are terraced, sliding and none", name);
}

ModelConfig read_model_config(const GgufFile& file) {
  const std::string prefix(file.string("general.architecture"));
  ModelConfig config;
  config.architecture = base_architecture(file);
  const ArchitectureInfo& architecture = architecture_info(config.architecture);
  const auto key = [&](const char* name) { return fmt::format("{}.{}", prefix, name); };
  require(file.u64_or(key("expert_count"), 0) == 0, "{}: {} is {}: mixtures of experts are not supported", file.path(),
          key("expert_count"), file.u64_or(key("expert_count"), 0));
  config.layers = count(file, key("block_count"), 10000);
  config.width = count(file, key("embedding_length"), 1 << 20);
  config.feed_forward = count(file, key("feed_forward_length"), 1 << 24);
  config.context = count(file, key("context_length"), 1 << 30);
  config.heads = count(file, key("attention.head_count"), 1 << 14);
  config.kv_heads =
      file.has(key("attention.head_count_kv")) ? count(file, key("attention.head_count_kv"), 1 << 14) : config.heads;
  require(config.heads % config.kv_heads == 0, "{}: {} query heads are no multiple of {} key/value heads", file.path(),
          config.heads, config.kv_heads);
  if (file.has(key("attention.key_length"))) {
    config.head_dim = count(file, key("attention.key_length"), 1 << 14);
    const uint64_t value_length = file.u64_or(key("attention.value_length"), static_cast<uint64_t>(config.head_dim));
    require(value_length == static_cast<uint64_t>(config.head_dim),
            "{}: keys of {} and values of {} elements are not supported", file.path(), config.head_dim, value_length);
  } else {
    require(config.width % config.heads == 0, "{}: width {} is no multiple of {} heads", file.path(), config.width,
            config.heads);
    config.head_dim = config.width / config.heads;
  }
  config.rope_dimensions =
      static_cast<int64_t>(file.u64_or(key("rope.dimension_count"), static_cast<uint64_t>(config.head_dim)));
  require(config.rope_dimensions >= 2 && config.rope_dimensions % 2 == 0 && config.rope_dimensions <= config.head_dim,
          "{}: {} is {}, expected an even number up to {}", file.path(), key("rope.dimension_count"),
          config.rope_dimensions, config.head_dim);
  config.rope_base = file.f64_or(key("rope.freq_base"), 10000.0);
  require(std::isfinite(config.rope_base) && config.rope_base > 0, "{}: {} is {}", file.path(), key("rope.freq_base"),
          config.rope_base);
  config.rope_scaling = read_rope_scaling(file, prefix, config.context);
  config.norm_epsilon = static_cast<float>(file.f64(key(architecture.epsilon_key())));
  read_attention(file, prefix, architecture, config);
  const TensorEntry& table = file.tensor("token_embd.weight");
  require(table.shape.size() == 2 && table.shape[1] == config.width && table.shape[0] >= 1,
          "{}: token_embd.weight has shape {}, expected [vocabulary, {}]", file.path(), shape_text(table.shape),
          config.width);
  config.vocabulary = table.shape[0];
  return config;
}

LinearConfig read_linear_config(const GgufFile& file, const ModelConfig& config) {
  LinearConfig linear;
  const std::string prefix(file.string("general.architecture"));
  if (!prefix.ends_with(kLinearSuffix)) return linear;
  const auto key = [&](const char* name) { return fmt::format("{}.attention.linear.{}", prefix, name); };
  linear.layers = file.booleans(key("layers"));
  require(static_cast<int64_t>(linear.layers.size()) == config.layers, "{}: {} names {} layers, the model has {}",
          file.path(), key("layers"), linear.layers.size(), config.layers);
  linear.feature_map = std::string(file.string(key("feature_map")));
  feature_map_info(linear.feature_map);
  linear.feature_dim = count(file, key("feature_dim"), 1 << 14);
  linear.key_map_heads = count(file, key("key_map_heads"), 1 << 14);
  require(linear.key_map_heads == config.heads || linear.key_map_heads == config.kv_heads,
          "{}: {} is {}, expected {} (query heads) or {} (key/value heads)", file.path(), key("key_map_heads"),
          linear.key_map_heads, config.heads, config.kv_heads);
  linear.window_kind = window_kind_from_name(std::string(file.string(key("window_kind"))));
  linear.window = count(file, key("window"), 1 << 20);
  linear.affine = file.boolean_or(key("affine"), false);
  return linear;
}

void write_model_config(GgufWriter& writer, const ModelConfig& config, const LinearConfig& linear) {
  const ArchitectureInfo& architecture = architecture_info(config.architecture);
  const std::string prefix = config.architecture + (linear.any() ? std::string(kLinearSuffix) : "");
  writer.set("general.architecture", prefix);
  const auto set = [&](const char* name, const auto& value) { writer.set(fmt::format("{}.{}", prefix, name), value); };
  const auto u32 = [](int64_t value) { return static_cast<uint32_t>(value); };
  set("block_count", u32(config.layers));
  set("context_length", u32(config.context));
  set("embedding_length", u32(config.width));
  set("feed_forward_length", u32(config.feed_forward));
  set("vocab_size", u32(config.vocabulary));
  set("attention.head_count", u32(config.heads));
  set("attention.head_count_kv", u32(config.kv_heads));
  set("attention.key_length", u32(config.head_dim));
  set("attention.value_length", u32(config.head_dim));
  set(architecture.epsilon_key(), config.norm_epsilon);
  set("rope.dimension_count", u32(config.rope_dimensions));
  set("rope.freq_base", static_cast<float>(config.rope_base));
  write_rope_scaling(writer, prefix, config.rope_scaling);
  write_attention(writer, prefix, architecture, config);
  if (!linear.any()) return;
  set("attention.linear.layers", linear.layers);
  set("attention.linear.feature_map", linear.feature_map);
  set("attention.linear.feature_dim", u32(linear.feature_dim));
  set("attention.linear.key_map_heads", u32(linear.key_map_heads));
  set("attention.linear.window", u32(linear.window));
  set("attention.linear.window_kind", window_kind_name(linear.window_kind));
  set("attention.linear.affine", linear.affine);
}

LinearStateLayout linear_state_layout(const ModelConfig& config, const LinearConfig& linear) {
  return {linear.key_map_heads, config.kv_heads, config.head_dim, linear.features(),
          linear.window_kind == WindowKind::kNone ? 0 : linear.window};
}

HybridAttentionParams hybrid_params(const ModelConfig& config, const LinearConfig& linear) {
  HybridAttentionParams params{};
  params.kind = linear.window_kind;
  params.window = static_cast<int32_t>(linear.window);
  params.affine = linear.affine;
  params.scale = config.score_scale();
  params.soft_cap = config.attention_soft_cap;
  return params;
}

}  // namespace margay
