#include "convert/huggingface_llama.h"

#include <cmath>
#include <numbers>
#include <set>

#include "base/error.h"
#include "models/weights.h"

namespace margay {
namespace {

int64_t count(const HfConfig& hf, const char* key, int64_t value, int64_t largest) {
  require(value >= 1 && value <= largest, "{}: {} is {}, expected 1 to {}", hf.path(), key, value, largest);
  return value;
}

// What Llama checkpoints may ask for and margay does not have.
void refuse_variants(const HfConfig& hf) {
  require(hf.model_type == "llama", "{}: model type '{}' is not there yet; llama is", hf.path(), hf.model_type);
  require(hf.architecture.empty() || hf.architecture == "LlamaForCausalLM",
          "{}: architecture {} is not there yet; LlamaForCausalLM is", hf.path(), hf.architecture);
  require(!hf.has("quantization_config"), "{}: is a quantized checkpoint ({}); convert the original one", hf.path(),
          hf.string_or("quantization_config.quant_method", "quantization_config"));
  const std::string activation = hf.string_or("hidden_act", "silu");
  require(activation == "silu", "{}: hidden_act '{}' is not there yet; silu is", hf.path(), activation);
  for (const char* key : {"attention_bias", "mlp_bias"})
    require(!hf.boolean_or(key, false), "{}: {} is true: biases are not there yet", hf.path(), key);
  for (const char* key : {"partial_rotary_factor", "rope_parameters.partial_rotary_factor"})
    require(hf.number_or(key, 1.0) == 1.0, "{}: {} is {}: rotating a part of each head is not there yet", hf.path(),
            key, hf.number_or(key, 1.0));
}

bool is_rope_buffer(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".rotary_emb.cos_cached") ||
         name.ends_with(".rotary_emb.sin_cached");
}

}  // namespace

ModelConfig llama_config(const HfConfig& hf) {
  refuse_variants(hf);
  // The defaults are those of transformers' LlamaConfig.
  const auto integer = [&](const char* key, int64_t largest) { return count(hf, key, hf.integer(key), largest); };
  const auto integer_or = [&](const char* key, int64_t otherwise, int64_t largest) {
    return count(hf, key, hf.integer_or(key, otherwise), largest);
  };
  ModelConfig config;
  config.architecture = "llama";
  config.layers = integer("num_hidden_layers", 10000);
  config.width = integer("hidden_size", 1 << 20);
  config.feed_forward = integer("intermediate_size", 1 << 24);
  config.vocabulary = integer("vocab_size", 1 << 24);
  config.context = integer_or("max_position_embeddings", 2048, 1 << 30);
  config.heads = integer("num_attention_heads", 1 << 14);
  config.kv_heads = integer_or("num_key_value_heads", config.heads, 1 << 14);
  require(config.heads % config.kv_heads == 0, "{}: num_attention_heads {} is no multiple of num_key_value_heads {}",
          hf.path(), config.heads, config.kv_heads);
  require(hf.has("head_dim") || config.width % config.heads == 0,
          "{}: hidden_size {} is no multiple of num_attention_heads {}, and there is no head_dim", hf.path(),
          config.width, config.heads);
  config.head_dim = integer_or("head_dim", config.width / config.heads, 1 << 14);
  require(config.head_dim % 2 == 0, "{}: head_dim {} is odd, RoPE needs pairs", hf.path(), config.head_dim);
  config.rope_dimensions = config.head_dim;
  config.rope_base = hf.rope().theta;
  config.norm_epsilon = static_cast<float>(hf.number_or("rms_norm_eps", 1e-6));
  return config;
}

std::vector<TensorName> llama_tensors(const ModelConfig& config, bool tied) {
  const int64_t c = config.width, f = config.feed_forward, v = config.vocabulary;
  const int64_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim;
  std::vector<TensorName> names;
  names.push_back({"model.embed_tokens.weight", "token_embd.weight", {v, c}});
  for (int64_t l = 0; l < config.layers; ++l) {
    const auto add = [&](const char* source, const char* target, std::vector<int64_t> shape, bool rope = false) {
      names.push_back({fmt::format("model.layers.{}.{}.weight", l, source), block_name(l, target) + ".weight",
                       std::move(shape), rope});
    };
    add("input_layernorm", "attn_norm", {c});
    add("self_attn.q_proj", "attn_q", {q, c}, true);
    add("self_attn.k_proj", "attn_k", {kv, c}, true);
    add("self_attn.v_proj", "attn_v", {kv, c});
    add("self_attn.o_proj", "attn_output", {c, q});
    add("post_attention_layernorm", "ffn_norm", {c});
    add("mlp.gate_proj", "ffn_gate", {f, c});
    add("mlp.up_proj", "ffn_up", {f, c});
    add("mlp.down_proj", "ffn_down", {c, f});
  }
  names.push_back({"model.norm.weight", "output_norm.weight", {c}});
  if (!tied) names.push_back({"lm_head.weight", "output.weight", {v, c}});
  return names;
}

void check_tensors(const TensorTable& source, const std::vector<TensorName>& names, bool tied) {
  std::set<std::string_view> known;
  for (const TensorName& name : names) {
    const TensorEntry* tensor = source.find(name.source);
    require(tensor != nullptr || name.source != "lm_head.weight",
            "{}: has no tensor lm_head.weight, and config.json does not say tie_word_embeddings", source.path());
    require(tensor != nullptr, "{}: has no tensor {} (incomplete checkpoint?)", source.path(), name.source);
    require(tensor->shape == name.shape, "{}: tensor {} has shape {}, config.json asks for {}", source.path(),
            name.source, shape_text(tensor->shape), shape_text(name.shape));
    require(is_float(tensor->dtype), "{}: tensor {} has type {}, expected a float type", source.path(), name.source,
            type_name(tensor->dtype));
    known.insert(name.source);
  }
  const auto check_foreign = [&](const std::string& name) {
    require(known.contains(name) || is_rope_buffer(name) || (tied && name == "lm_head.weight"),
            "{}: tensor {} is not part of a Llama model as margay knows it", source.path(), name);
  };
  for (const TensorEntry& tensor : source.tensors()) check_foreign(tensor.name);
  for (const auto& [name, type] : source.unsupported()) check_foreign(name);
}

std::vector<float> rope_factors(const HfConfig& hf, const ModelConfig& config) {
  const RopeConfig rope = hf.rope();
  if (rope.type == "default") return {};
  require(rope.type == "llama3", "{}: RoPE scaling '{}' is not there yet; default and llama3 are", hf.path(),
          rope.type);
  require(rope.original_max_position_embeddings > 0, "{}: llama3 RoPE scaling has no original_max_position_embeddings",
          hf.path());
  require(rope.low_freq_factor > 0 && rope.high_freq_factor > rope.low_freq_factor,
          "{}: llama3 RoPE scaling has low_freq_factor {} and high_freq_factor {}, expected 0 < low < high", hf.path(),
          rope.low_freq_factor, rope.high_freq_factor);
  return llama3_rope_factors(rope, config.rope_dimensions);
}

std::vector<float> llama3_rope_factors(const RopeConfig& rope, int64_t rope_dimensions) {
  const auto original = static_cast<double>(rope.original_max_position_embeddings);
  const double longest = original / rope.low_freq_factor, shortest = original / rope.high_freq_factor;
  std::vector<float> factors;
  for (int64_t i = 0; i < rope_dimensions / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(rope_dimensions);
    const double wavelength = 2 * std::numbers::pi * std::pow(rope.theta, exponent);  // tokens
    double factor = rope.factor;
    if (wavelength < shortest) {
      factor = 1;
    } else if (wavelength <= longest) {
      const double smooth =
          (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
      factor = 1 / ((1 - smooth) / rope.factor + smooth);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

}  // namespace margay
