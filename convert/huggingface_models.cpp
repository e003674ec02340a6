#include "convert/huggingface_models.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>

#include "base/error.h"
#include "models/build.h"
#include "models/weights.h"

namespace margay {
namespace {

// Lengths of a tensor's axes. Q, KV: all heads of queries, of keys or values.
enum class Dim { kNone, kWidth, kFeedForward, kGateUp, kVocabulary, kQ, kKv, kQkv, kHead };
enum class When { kAlways, kUntied, kAttentionBias, kMlpBias };

struct TensorRow {
  const char *source, *target;  // of a block: without model.layers.N. and blk.N.
  Dim rows, columns = Dim::kNone;
  bool rope = false;  // rows are elements of heads that RoPE turns
  When when = When::kAlways;
  float plus = 0;
};

using enum Dim;

constexpr TensorRow kLlamaModel[] = {{"model.embed_tokens.weight", "token_embd.weight", kVocabulary, kWidth},
                                     {"model.norm.weight", "output_norm.weight", kWidth},
                                     {"lm_head.weight", "output.weight", kVocabulary, kWidth, false, When::kUntied}};

constexpr TensorRow kLlamaBlock[] = {
    {"input_layernorm.weight", "attn_norm.weight", kWidth},
    {"self_attn.q_proj.weight", "attn_q.weight", kQ, kWidth, true},
    {"self_attn.q_proj.bias", "attn_q.bias", kQ, kNone, true, When::kAttentionBias},
    {"self_attn.k_proj.weight", "attn_k.weight", kKv, kWidth, true},
    {"self_attn.k_proj.bias", "attn_k.bias", kKv, kNone, true, When::kAttentionBias},
    {"self_attn.v_proj.weight", "attn_v.weight", kKv, kWidth},
    {"self_attn.v_proj.bias", "attn_v.bias", kKv, kNone, false, When::kAttentionBias},
    {"self_attn.o_proj.weight", "attn_output.weight", kWidth, kQ},
    {"self_attn.o_proj.bias", "attn_output.bias", kWidth, kNone, false, When::kAttentionBias},
    {"post_attention_layernorm.weight", "ffn_norm.weight", kWidth},
    {"mlp.gate_proj.weight", "ffn_gate.weight", kFeedForward, kWidth},
    {"mlp.gate_proj.bias", "ffn_gate.bias", kFeedForward, kNone, false, When::kMlpBias},
    {"mlp.up_proj.weight", "ffn_up.weight", kFeedForward, kWidth},
    {"mlp.up_proj.bias", "ffn_up.bias", kFeedForward, kNone, false, When::kMlpBias},
    {"mlp.down_proj.weight", "ffn_down.weight", kWidth, kFeedForward},
    {"mlp.down_proj.bias", "ffn_down.bias", kWidth, kNone, false, When::kMlpBias}};

constexpr TensorRow kQwen2Block[] = {{"input_layernorm.weight", "attn_norm.weight", kWidth},
                                     {"self_attn.q_proj.weight", "attn_q.weight", kQ, kWidth, true},
                                     {"self_attn.q_proj.bias", "attn_q.bias", kQ, kNone, true},
                                     {"self_attn.k_proj.weight", "attn_k.weight", kKv, kWidth, true},
                                     {"self_attn.k_proj.bias", "attn_k.bias", kKv, kNone, true},
                                     {"self_attn.v_proj.weight", "attn_v.weight", kKv, kWidth},
                                     {"self_attn.v_proj.bias", "attn_v.bias", kKv},
                                     {"self_attn.o_proj.weight", "attn_output.weight", kWidth, kQ},
                                     {"post_attention_layernorm.weight", "ffn_norm.weight", kWidth},
                                     {"mlp.gate_proj.weight", "ffn_gate.weight", kFeedForward, kWidth},
                                     {"mlp.up_proj.weight", "ffn_up.weight", kFeedForward, kWidth},
                                     {"mlp.down_proj.weight", "ffn_down.weight", kWidth, kFeedForward}};

constexpr TensorRow kQwen3Block[] = {
    {"input_layernorm.weight", "attn_norm.weight", kWidth},
    {"self_attn.q_proj.weight", "attn_q.weight", kQ, kWidth, true},
    {"self_attn.q_proj.bias", "attn_q.bias", kQ, kNone, true, When::kAttentionBias},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", kHead},
    {"self_attn.k_proj.weight", "attn_k.weight", kKv, kWidth, true},
    {"self_attn.k_proj.bias", "attn_k.bias", kKv, kNone, true, When::kAttentionBias},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", kHead},
    {"self_attn.v_proj.weight", "attn_v.weight", kKv, kWidth},
    {"self_attn.v_proj.bias", "attn_v.bias", kKv, kNone, false, When::kAttentionBias},
    {"self_attn.o_proj.weight", "attn_output.weight", kWidth, kQ},
    {"self_attn.o_proj.bias", "attn_output.bias", kWidth, kNone, false, When::kAttentionBias},
    {"post_attention_layernorm.weight", "ffn_norm.weight", kWidth},
    {"mlp.gate_proj.weight", "ffn_gate.weight", kFeedForward, kWidth},
    {"mlp.up_proj.weight", "ffn_up.weight", kFeedForward, kWidth},
    {"mlp.down_proj.weight", "ffn_down.weight", kWidth, kFeedForward}};

constexpr TensorRow kPhiModel[] = {{"model.embed_tokens.weight", "token_embd.weight", kVocabulary, kWidth},
                                   {"model.final_layernorm.weight", "output_norm.weight", kWidth},
                                   {"model.final_layernorm.bias", "output_norm.bias", kWidth},
                                   {"lm_head.weight", "output.weight", kVocabulary, kWidth, false, When::kUntied},
                                   {"lm_head.bias", "output.bias", kVocabulary, kNone, false, When::kUntied}};

constexpr TensorRow kPhiBlock[] = {{"input_layernorm.weight", "attn_norm.weight", kWidth},
                                   {"input_layernorm.bias", "attn_norm.bias", kWidth},
                                   {"self_attn.q_proj.weight", "attn_q.weight", kQ, kWidth, true},
                                   {"self_attn.q_proj.bias", "attn_q.bias", kQ, kNone, true},
                                   {"self_attn.k_proj.weight", "attn_k.weight", kKv, kWidth, true},
                                   {"self_attn.k_proj.bias", "attn_k.bias", kKv, kNone, true},
                                   {"self_attn.v_proj.weight", "attn_v.weight", kKv, kWidth},
                                   {"self_attn.v_proj.bias", "attn_v.bias", kKv},
                                   {"self_attn.dense.weight", "attn_output.weight", kWidth, kQ},
                                   {"self_attn.dense.bias", "attn_output.bias", kWidth},
                                   {"mlp.fc1.weight", "ffn_up.weight", kFeedForward, kWidth},
                                   {"mlp.fc1.bias", "ffn_up.bias", kFeedForward},
                                   {"mlp.fc2.weight", "ffn_down.weight", kWidth, kFeedForward},
                                   {"mlp.fc2.bias", "ffn_down.bias", kWidth}};

constexpr TensorRow kPhi3Block[] = {{"input_layernorm.weight", "attn_norm.weight", kWidth},
                                    {"self_attn.qkv_proj.weight", "attn_qkv.weight", kQkv, kWidth},
                                    {"self_attn.o_proj.weight", "attn_output.weight", kWidth, kQ},
                                    {"post_attention_layernorm.weight", "ffn_norm.weight", kWidth},
                                    {"mlp.gate_up_proj.weight", "ffn_up.weight", kGateUp, kWidth},
                                    {"mlp.down_proj.weight", "ffn_down.weight", kWidth, kFeedForward}};

constexpr TensorRow kGemma2Model[] = {
    {"model.embed_tokens.weight", "token_embd.weight", kVocabulary, kWidth},
    {"model.norm.weight", "output_norm.weight", kWidth, kNone, false, When::kAlways, 1},
    {"lm_head.weight", "output.weight", kVocabulary, kWidth, false, When::kUntied}};

constexpr TensorRow kGemma2Block[] = {
    {"input_layernorm.weight", "attn_norm.weight", kWidth, kNone, false, When::kAlways, 1},
    {"self_attn.q_proj.weight", "attn_q.weight", kQ, kWidth, true},
    {"self_attn.k_proj.weight", "attn_k.weight", kKv, kWidth, true},
    {"self_attn.v_proj.weight", "attn_v.weight", kKv, kWidth},
    {"self_attn.o_proj.weight", "attn_output.weight", kWidth, kQ},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", kWidth, kNone, false, When::kAlways, 1},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight", kWidth, kNone, false, When::kAlways, 1},
    {"mlp.gate_proj.weight", "ffn_gate.weight", kFeedForward, kWidth},
    {"mlp.up_proj.weight", "ffn_up.weight", kFeedForward, kWidth},
    {"mlp.down_proj.weight", "ffn_down.weight", kWidth, kFeedForward},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", kWidth, kNone, false, When::kAlways, 1}};

// Which layers have the sliding window of the configuration.
enum class Windows { kNone, kAll, kLast, kListed };  // kLast: from max_window_layers on, if use_sliding_window

}  // namespace

struct HfModel {
  const char *model_type, *class_name, *architecture;  // the last in GGUF
  std::span<const TensorRow> model, block;
  const char* epsilon_key;
  double epsilon;  // this and the following: transformers' values where config.json has none
  int64_t context;
  Windows windows = Windows::kNone;
  int64_t window = 0;
  bool gelu = false;
  bool tied = false;
  double rotated_part = 0;   // of each head; 0: always all of it
  int64_t head_dim = 0;      // 0: hidden_size / num_attention_heads
  const char* refused = "";  // a switch that must be off
};

namespace {

constexpr HfModel kModels[] = {
    {"llama", "LlamaForCausalLM", "llama", kLlamaModel, kLlamaBlock, "rms_norm_eps", 1e-6, 2048},
    {"mistral", "MistralForCausalLM", "llama", kLlamaModel, kLlamaBlock, "rms_norm_eps", 1e-6, 131072, Windows::kAll,
     4096},
    {"phi", "PhiForCausalLM", "phi2", kPhiModel, kPhiBlock, "layer_norm_eps", 1e-5, 2048, Windows::kNone, 0, true,
     false, 0.5, 0, "qk_layernorm"},
    {"phi3", "Phi3ForCausalLM", "phi3", kLlamaModel, kPhi3Block, "rms_norm_eps", 1e-5, 4096, Windows::kAll, 0, false,
     false, 1},
    {"qwen2", "Qwen2ForCausalLM", "qwen2", kLlamaModel, kQwen2Block, "rms_norm_eps", 1e-6, 32768, Windows::kLast, 4096},
    {"qwen3", "Qwen3ForCausalLM", "qwen3", kLlamaModel, kQwen3Block, "rms_norm_eps", 1e-6, 32768, Windows::kLast, 4096,
     false, false, 0, 128},
    {"gemma2", "Gemma2ForCausalLM", "gemma2", kGemma2Model, kGemma2Block, "rms_norm_eps", 1e-6, 8192, Windows::kListed,
     4096, true, true, 0, 256, "use_bidirectional_attention"},
};

int64_t count(const HfConfig& hf, const char* key, int64_t value, int64_t largest) {
  require(value >= 1 && value <= largest, "{}: {} is {}, expected 1 to {}", hf.path(), key, value, largest);
  return value;
}

// What checkpoints of a model type may ask for and margay does not have.
void refuse_variants(const HfConfig& hf, const HfModel& model) {
  require(!hf.has("quantization_config"), "{}: is a quantized checkpoint ({}); convert the original one", hf.path(),
          hf.string_or("quantization_config.quant_method", "quantization_config"));
  // Gemma's older configurations say gelu in hidden_act, whatever hidden_activation says; transformers means the latter.
  const char* otherwise = model.gelu ? "gelu_new" : "silu";
  const std::string activation = hf.string_or("hidden_activation", hf.string_or("hidden_act", otherwise));
  const bool known = model.gelu ? activation == "gelu_new" || activation == "gelu_pytorch_tanh" : activation == "silu";
  require(known, "{}: the activation '{}' is not supported for {}; {} is", hf.path(), activation, hf.model_type,
          model.gelu ? "gelu_new (gelu_pytorch_tanh)" : "silu");
  if (*model.refused)
    require(!hf.boolean_or(model.refused, false), "{}: {} is true, which is not supported for {}", hf.path(),
            model.refused, hf.model_type);
  for (const char* key : {"num_local_experts", "num_experts"})
    require(hf.integer_or(key, 0) == 0, "{}: {} is {}: mixtures of experts are not supported", hf.path(), key,
            hf.integer_or(key, 0));
}

void read_windows(const HfConfig& hf, const HfModel& model, ModelConfig& config) {
  if (model.windows == Windows::kNone) return;
  if (model.windows == Windows::kLast && !hf.boolean_or("use_sliding_window", false)) return;
  if (hf.is_null("sliding_window")) return;
  config.window = hf.integer_or("sliding_window", model.window);
  require(config.window >= 0 && config.window <= 1 << 30, "{}: sliding_window is {}", hf.path(), config.window);
  if (config.window == 0 || model.windows == Windows::kAll) return;
  const std::vector<std::string> types = hf.string_list("layer_types");
  if (!types.empty()) {
    require(static_cast<int64_t>(types.size()) == config.layers, "{}: layer_types names {} layers of {}", hf.path(),
            types.size(), config.layers);
    for (const std::string& type : types) {
      require(type == "sliding_attention" || type == "full_attention",
              "{}: layer_types has '{}'; sliding_attention and full_attention are supported", hf.path(), type);
      config.windowed.push_back(type == "sliding_attention");
    }
  } else if (model.windows == Windows::kLast) {
    const int64_t first = hf.integer_or("max_window_layers", 28);
    for (int64_t l = 0; l < config.layers; ++l) config.windowed.push_back(l >= first);
  } else {
    config.windowed = alternating_windows(config.layers, architecture_info(model.architecture).window_period);
  }
}

void read_attention(const HfConfig& hf, const HfModel& model, ModelConfig& config) {
  read_windows(hf, model, config);
  const ArchitectureInfo& architecture = architecture_info(model.architecture);
  const auto cap = [&](const char* key, float otherwise) {
    const double value = hf.is_null(key) || otherwise == 0 ? 0 : hf.number_or(key, static_cast<double>(otherwise));
    require(value >= 0, "{}: {} is {}, expected 0 or more", hf.path(), key, value);
    return static_cast<float>(value);
  };
  config.attention_soft_cap = cap("attn_logit_softcapping", architecture.attention_soft_cap);
  config.logit_soft_cap = cap("final_logit_softcapping", architecture.logit_soft_cap);
  if (!hf.has("query_pre_attn_scalar")) return;
  const double scalar = hf.number("query_pre_attn_scalar");
  require(scalar > 0, "{}: query_pre_attn_scalar is {}", hf.path(), scalar);
  if (scalar != static_cast<double>(config.head_dim)) config.attention_scale = 1 / std::sqrt(scalar);
}

bool is_rope_buffer(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".rotary_emb.cos_cached") ||
         name.ends_with(".rotary_emb.sin_cached");
}

int64_t length_of(Dim dim, const ModelConfig& config) {
  const int64_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim;
  switch (dim) {
    case kNone:
      return 0;
    case kWidth:
      return config.width;
    case kFeedForward:
      return config.feed_forward;
    case kGateUp:
      return 2 * config.feed_forward;
    case kVocabulary:
      return config.vocabulary;
    case kQ:
      return q;
    case kKv:
      return kv;
    case kQkv:
      return q + 2 * kv;
    case kHead:
      return config.head_dim;
  }
  return 0;
}

}  // namespace

const HfModel& hf_model(const std::string& model_type) {
  std::string names;
  for (const HfModel& row : kModels) {
    if (model_type == row.model_type) return row;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.model_type);
  }
  fail("model type '{}' is not supported; there are {}", model_type, names);
}

const HfModel& hf_model(const HfConfig& hf) {
  for (const HfModel& row : kModels) {
    if (hf.model_type != row.model_type) continue;
    require(hf.architecture.empty() || hf.architecture == row.class_name, "{}: architecture {} is not supported; {} is",
            hf.path(), hf.architecture, row.class_name);
    refuse_variants(hf, row);
    return row;
  }
  try {
    return hf_model(hf.model_type);
  } catch (const Error& error) {
    fail("{}: {}", hf.path(), error.what());
  }
}

HfModelConfig read_model_config(const HfConfig& hf, const HfModel& model) {
  const auto integer = [&](const char* key, int64_t largest) { return count(hf, key, hf.integer(key), largest); };
  const auto integer_or = [&](const char* key, int64_t otherwise, int64_t largest) {
    return count(hf, key, hf.integer_or(key, otherwise), largest);
  };
  HfModelConfig result;
  ModelConfig& config = result.model;
  config.architecture = model.architecture;
  config.layers = integer("num_hidden_layers", 10000);
  config.width = integer("hidden_size", 1 << 20);
  config.feed_forward = integer("intermediate_size", 1 << 24);
  config.vocabulary = integer("vocab_size", 1 << 24);
  config.context = integer_or("max_position_embeddings", model.context, 1 << 30);
  config.heads = integer("num_attention_heads", 1 << 14);
  config.kv_heads = integer_or("num_key_value_heads", config.heads, 1 << 14);
  require(config.heads % config.kv_heads == 0, "{}: num_attention_heads {} is no multiple of num_key_value_heads {}",
          hf.path(), config.heads, config.kv_heads);
  require(hf.has("head_dim") || model.head_dim > 0 || config.width % config.heads == 0,
          "{}: hidden_size {} is no multiple of num_attention_heads {}, and there is no head_dim", hf.path(),
          config.width, config.heads);
  config.head_dim = integer_or("head_dim", model.head_dim > 0 ? model.head_dim : config.width / config.heads, 1 << 14);
  require(config.head_dim % 2 == 0, "{}: head_dim {} is odd, RoPE needs pairs", hf.path(), config.head_dim);
  config.norm_epsilon = static_cast<float>(hf.number_or(model.epsilon_key, model.epsilon));
  read_attention(hf, model, config);
  read_rope(hf, model.rotated_part, result);
  result.tensors = {hf.boolean_or("tie_word_embeddings", model.tied), hf.boolean_or("attention_bias", false),
                    hf.boolean_or("mlp_bias", false)};
  return result;
}

std::vector<TensorName> hf_tensors(const HfModel& model, const ModelConfig& config, const HfTensorOptions& options) {
  const bool permuted = architecture_info(model.architecture).permuted_rope;
  std::vector<TensorName> names;
  const auto add = [&](const TensorRow& row, const std::string& source, const std::string& target) {
    if (row.when == When::kUntied && options.tied) return;
    if (row.when == When::kAttentionBias && !options.attention_bias) return;
    if (row.when == When::kMlpBias && !options.mlp_bias) return;
    std::vector<int64_t> shape = {length_of(row.rows, config)};
    if (row.columns != kNone) shape.push_back(length_of(row.columns, config));
    names.push_back({source + row.source, target + row.target, std::move(shape), row.rope && permuted, row.plus});
  };
  add(model.model.front(), "", "");  // the embeddings, before the blocks as in GGUF
  for (int64_t l = 0; l < config.layers; ++l)
    for (const TensorRow& row : model.block) add(row, fmt::format("model.layers.{}.", l), fmt::format("blk.{}.", l));
  for (const TensorRow& row : model.model.subspan(1)) add(row, "", "");
  return names;
}

void check_tensors(const TensorTable& source, const HfConfig& hf, const std::vector<TensorName>& names, bool tied) {
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
    require(known.contains(name) || is_rope_buffer(name) || (tied && name.starts_with("lm_head.")),
            "{}: tensor {} is not part of a {} model as margay knows it", source.path(), name, hf.model_type);
  };
  for (const TensorEntry& tensor : source.tensors()) check_foreign(tensor.name);
  for (const auto& [name, type] : source.unsupported()) check_foreign(name);
}

}  // namespace margay
