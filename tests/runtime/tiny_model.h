// Tiny models with random weights, and random tokens, for the runtime's tests.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/model.h"
#include "tests/test_data.h"

namespace margay::test {

// One of the shapes that a session must handle alike.
struct Variant {
  const char* name;
  std::vector<bool> layers;  // linearized; empty: a softmax model
  WindowKind window_kind = WindowKind::kTerraced;
  bool shared_key_maps = false, affine = false;
};

inline const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"softmax", {}},
      {"terraced", {true, true, true}},
      {"sliding", {true, true, true}, WindowKind::kSliding},
      {"none", {true, true, true}, WindowKind::kNone},
      {"shared", {true, true, true}, WindowKind::kTerraced, true},
      {"affine", {true, true, true}, WindowKind::kTerraced, false, true},
      {"hybrid", {true, false, true}},
  };
  return all;
}

inline ModelConfig tiny_config() {
  ModelConfig config;
  config.architecture = "llama";
  config.layers = 3, config.width = 64, config.feed_forward = 96, config.vocabulary = 1024, config.context = 2048;
  config.heads = 4, config.kv_heads = 2, config.head_dim = 16, config.rope_dimensions = 16;
  return config;
}

inline LinearConfig linear_of(const Variant& variant, const ModelConfig& config) {
  LinearConfig linear;
  linear.layers = variant.layers;
  linear.feature_dim = 8;
  linear.window = 16;
  linear.window_kind = variant.window_kind;
  linear.key_map_heads = variant.shared_key_maps ? config.kv_heads : config.heads;
  linear.affine = variant.affine;
  return linear;
}

// Announces the model's tensors, all F32.
inline void add_tensors(GgufWriter& writer, const ModelConfig& config, const LinearConfig& linear) {
  const int64_t c = config.width, d = config.head_dim, q = config.heads * d, kv = config.kv_heads * d;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    writer.add_tensor(name, DType::F32, shape);
  };
  add("token_embd.weight", {config.vocabulary, c});
  add("output_norm.weight", {c});
  for (int64_t l = 0; l < config.layers; ++l) {
    add(block_name(l, "attn_norm.weight"), {c});
    add(block_name(l, "attn_q.weight"), {q, c});
    add(block_name(l, "attn_k.weight"), {kv, c});
    add(block_name(l, "attn_v.weight"), {kv, c});
    add(block_name(l, "attn_output.weight"), {c, q});
    add(block_name(l, "ffn_norm.weight"), {c});
    add(block_name(l, "ffn_gate.weight"), {config.feed_forward, c});
    add(block_name(l, "ffn_up.weight"), {config.feed_forward, c});
    add(block_name(l, "ffn_down.weight"), {c, config.feed_forward});
    if (!linear.layer(l)) continue;
    add(block_name(l, "attn_fmap_q.weight"), {config.heads, linear.feature_dim, d});
    add(block_name(l, "attn_fmap_k.weight"), {linear.key_map_heads, linear.feature_dim, d});
    add(block_name(l, "attn_window_factor"), {config.heads});
  }
}

// Writes the variant's model and returns its path. A tensor's values depend on its name alone, so that all variants
// share their base.
inline std::string tiny_model(const Variant& variant) {
  const ModelConfig config = tiny_config();
  const LinearConfig linear = linear_of(variant, config);
  GgufWriter writer;
  write_model_config(writer, config, linear);
  Tokenizer::from_huggingface(data("hf/tiny-llama3")).to_gguf(writer);
  add_tensors(writer, config, linear);
  const std::string path = scratch(std::string("runtime-") + variant.name + ".gguf");
  writer.write(path, [&](size_t index, const GgufWriter::Sink& sink) {
    const TensorEntry& tensor = writer.tensor(index);
    Random random(std::hash<std::string>()(tensor.name));
    const bool norm = tensor.name.find("norm") != std::string::npos;
    const double scale = 1.5 / std::sqrt(static_cast<double>(tensor.shape.back()));
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    for (float& value : values) value = static_cast<float>(norm ? 1 + 0.1 * random.normal() : scale * random.normal());
    sink(values.data(), values.size() * sizeof(float));
  });
  return path;
}

inline std::vector<int32_t> random_tokens(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& id : tokens) id = static_cast<int32_t>(random.below(1000));
  return tokens;
}

}  // namespace margay::test
