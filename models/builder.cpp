#include "models/builder.h"

#include <algorithm>

namespace margay {

ModelBuilder::ModelBuilder(BuiltModel& built, const ModelConfig& model_config, const LinearConfig& linear_config,
                           const WeightSet& weights, const BuildOptions& build_options, LoraScale lora)
    : config(model_config),
      options(build_options),
      model(built),
      linear_(linear_config),
      weights_(weights),
      lora_(lora),
      architecture_(architecture_info(model_config.architecture)) {
  const int64_t b = options.sequences, t = options.tokens;
  require(b >= 1 && t >= 1, "a batch of {} sequences of {} tokens", b, t);
  model.tokens = model.graph.input("tokens", make_shape({b, t}), DType::I32);
  model.positions = model.graph.input("positions", make_shape({b * t}), DType::I32);
  if (options.stateful) model.position = model.graph.input("position", make_shape({b}), DType::I32);
  record_rope();
}

void ModelBuilder::record_rope() {
  // A linearized model keeps the frequencies of the short rows that it was trained on: its texts have no length.
  const int64_t length = linear_.any() ? 0 : options.stateful ? options.kv_capacity : options.tokens;
  const RopeFrequencies frequencies = rope_frequencies(config, length);
  const int64_t pairs = config.rope_dimensions / 2;
  Tensor factors;
  if (frequencies.factor_tensor == "rope_freqs.weight") factors = optional_weight("rope_freqs.weight", {pairs});
  else if (!frequencies.factor_tensor.empty()) factors = weight(frequencies.factor_tensor, {pairs});
  else if (!frequencies.factors.empty()) factors = model.graph.constant(make_shape({pairs}), frequencies.factors);
  rope_ = rope_table(model.positions, static_cast<int>(config.rope_dimensions), frequencies.base, factors,
                     frequencies.magnitude);
}

int64_t ModelBuilder::layers() const { return options.last_layer < 0 ? config.layers : options.last_layer + 1; }

Tensor ModelBuilder::weight(const std::string& name, std::initializer_list<int64_t> shape) {
  for (const auto& [known, tensor] : model.weights)
    if (known == name) return tensor;
  const WeightRef& found = weights_.get(name, make_shape(shape));
  const Tensor tensor = model.graph.weight(name, found.shape, found.dtype, found.data);
  model.weights.emplace_back(name, tensor);
  return tensor;
}

Tensor ModelBuilder::optional_weight(const std::string& name, std::initializer_list<int64_t> shape) {
  return weights_.find(name) ? weight(name, shape) : Tensor{};
}

Tensor ModelBuilder::token_embedding() {
  return embedding(weight("token_embd.weight", {config.vocabulary, config.width}), model.tokens);
}

Tensor ModelBuilder::norm(Tensor x, const std::string& name) {
  const int64_t c = x.dim(-1);
  const Tensor w = weight(name + ".weight", {c});
  if (!architecture_.layer_norms) return rms_norm(x, w, config.norm_epsilon);
  return layer_norm(x, w, weight(name + ".bias", {c}), config.norm_epsilon);
}

Tensor ModelBuilder::project(Tensor x, const std::string& name, int64_t out, bool needs_bias) {
  const std::string matrix = name + ".weight";
  Tensor y = linear(x, weight(matrix, {out, x.dim(-1)}), options.float_products);
  if (const Tensor bias = needs_bias ? weight(name + ".bias", {out}) : optional_weight(name + ".bias", {out}))
    y = add(y, bias);
  const Tensor a = lora_.scale != 0 ? optional_weight(matrix + ".lora_a", {-1, x.dim(-1)}) : Tensor{};
  if (!a) return y;
  const Tensor b = weight(matrix + ".lora_b", {out, a.dim(0)});
  return add(y, affine(linear(linear(x, a), b), lora_.scale, 0));
}

Tensor ModelBuilder::attention(Tensor x, int64_t l, const AttentionTraits& traits) {
  const int64_t b = options.sequences, t = options.tokens, d = config.head_dim;
  const auto heads = [&](const char* name, int64_t n) {
    return reshape(project(x, block_name(l, name), n * d, traits.qkv_bias), make_shape({b, t, n, d}));
  };
  const auto turned = [&](const char* name, int64_t n) {
    Tensor y = heads(name, n);
    if (traits.head_norms) y = norm(y, block_name(l, name) + "_norm");
    return rope(y, rope_, !architecture_.permuted_rope);
  };
  const Tensor q = turned("attn_q", config.heads);     // [B, T, H, D]
  const Tensor k = turned("attn_k", config.kv_heads);  // [B, T, HK, D]
  const Tensor v = heads("attn_v", config.kv_heads);
  Tensor y;  // [B, T, H, D]
  if (!linear_.layer(l) || options.attention == AttentionMode::kSoftmax) {
    y = softmax_layer(q, k, v, l, options.stateful);
  } else if (options.attention == AttentionMode::kTransfer) {
    y = softmax_layer(q, k, v, l, false);
    model.transfer.emplace_back(linear_layer(q, k, v, l), y);
  } else {
    y = linear_layer(q, k, v, l);
  }
  return project(reshape(y, make_shape({b, t, config.heads * d})), block_name(l, "attn_output"), config.width);
}

Tensor ModelBuilder::softmax_layer(Tensor q, Tensor k, Tensor v, int64_t l, bool keep_state) {
  SoftmaxAttentionParams params{};
  params.scale = config.score_scale();
  params.window = static_cast<int32_t>(config.window_of(l));
  params.soft_cap = config.attention_soft_cap;
  if (!keep_state) return softmax_attention(q, k, v, params).y;
  params.stateful = 1;
  const int64_t ring = params.window > 0 ? params.window + std::max(options.kv_chunk, options.tokens) : INT64_MAX;
  const int64_t tokens = std::min(options.kv_capacity, ring);
  const Shape shape = make_shape({2, tokens, config.kv_heads, config.head_dim});
  const Tensor cache =
      model.graph.state(block_name(l, "kv_cache"), shape, DType::F32, static_cast<int>(options.sequences));
  model.states.push_back({cache, false, tokens, shape_bytes(shape, DType::F32)});
  return softmax_attention(q, k, v, params, model.position, cache).y;
}

Tensor ModelBuilder::linear_layer(Tensor q, Tensor k, Tensor v, int64_t l) {
  const FeatureMapInfo& map = feature_map_info(linear_.feature_map);
  const int64_t f = linear_.feature_dim, d = config.head_dim;
  HybridAttentionParams params = hybrid_params(config, linear_);
  params.window_only = options.window_only;
  params.phase = options.phase;
  if (options.sliding && params.kind == WindowKind::kTerraced) params.kind = WindowKind::kSliding;
  params.stateful = options.stateful;
  const auto map_weight = [&](const char* name, int64_t heads) { return weight(block_name(l, name), {heads, f, d}); };
  const auto map_bias = [&](const char* name, int64_t heads) {
    return map.bias ? weight(block_name(l, name), {heads}) : Tensor{};
  };
  Tensor state;
  if (options.stateful) {
    const Shape shape = make_shape({linear_state_layout(config, linear_).floats()});
    state = model.graph.state(block_name(l, "linear_state"), shape, DType::F32, static_cast<int>(options.sequences));
    model.states.push_back({state, true, 0, shape_bytes(shape, DType::F32)});
  }
  const std::vector<float> no_window(static_cast<size_t>(config.heads));
  const Tensor window_factor = linear_.window_kind == WindowKind::kNone
                                   ? model.graph.constant(make_shape({config.heads}), no_window)
                                   : weight(block_name(l, "attn_window_factor"), {config.heads});
  const Tensor aged = aged_keys(k, static_cast<int>(linear_.age()), model.position, state, params,
                                linear_.key_map_heads, linear_.features());
  const Tensor fq =
      map.build(q, map_weight("attn_fmap_q.weight", config.heads), map_bias("attn_fmap_q.bias", config.heads));
  const Tensor fk = map.build(aged, map_weight("attn_fmap_k.weight", linear_.key_map_heads),
                              map_bias("attn_fmap_k.bias", linear_.key_map_heads));
  return hybrid_attention(q, k, v, fq, fk, window_factor, params, model.position, state).y;
}

Tensor ModelBuilder::gated_feed_forward(Tensor x, int64_t l, Activation activation) {
  const Tensor gate = project(x, block_name(l, "ffn_gate"), config.feed_forward);
  const Tensor up = project(x, block_name(l, "ffn_up"), config.feed_forward);
  const Tensor y = activation == Activation::kSilu ? swiglu(gate, up) : multiply(gelu(gate), up);
  return project(y, block_name(l, "ffn_down"), config.width);
}

Tensor ModelBuilder::plain_feed_forward(Tensor x, int64_t l) {
  const Tensor up = project(x, block_name(l, "ffn_up"), config.feed_forward, true);
  return project(gelu(up), block_name(l, "ffn_down"), config.width, true);
}

void ModelBuilder::pre_norm_decoder(const AttentionTraits& traits) {
  Tensor h = token_embedding();  // [B, T, C]
  for (int64_t l = 0; l < layers(); ++l) {
    h = add(h, attention(norm(h, block_name(l, "attn_norm")), l, traits));
    h = add(h, gated_feed_forward(norm(h, block_name(l, "ffn_norm")), l));
  }
  head(h);
}

void ModelBuilder::head(Tensor h) {
  if (options.logits == LogitRows::kNone) return;
  if (options.logits == LogitRows::kLast) h = slice(h, 1, options.tokens - 1, 1);
  const Tensor x = norm(h, "output_norm");
  const char* name = weights_.find("output.weight") ? "output" : "token_embd";  // tied
  const Tensor y = soft_cap(project(x, name, config.vocabulary), config.logit_soft_cap);
  model.logits = reshape(y, make_shape({options.sequences * y.dim(1), config.vocabulary}));
}

}  // namespace margay
