// The blocks that architectures share. Shapes: B sequences, T tokens, C width, H heads, HK key/value heads, D head_dim.
#pragma once
#include "models/build.h"

namespace margay {

// In which a layer's attention differs from llama's.
struct AttentionTraits {
  bool qkv_bias = false;    // queries, keys and values have biases; llama's may have some
  bool head_norms = false;  // RMS norms of each head of q and k, before RoPE
};

enum class Activation { kSilu, kGelu };

class ModelBuilder {
 public:
  ModelBuilder(BuiltModel& model, const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
               const BuildOptions& options, LoraScale lora);

  const ModelConfig& config;
  const BuildOptions& options;
  BuiltModel& model;

  int64_t layers() const;  // to build
  Tensor weight(const std::string& name, std::initializer_list<int64_t> shape);
  Tensor optional_weight(const std::string& name, std::initializer_list<int64_t> shape);  // no tensor when absent
  Tensor token_embedding();                                                               // [B, T, C]
  // The architecture's kind of norm, with the weights `name`.weight and, of a layer norm, `name`.bias.
  Tensor norm(Tensor x, const std::string& name);
  // x [B, T, in] -> [B, T, out] by `name`.weight, with LoRA and `name`.bias where the weights have them.
  Tensor project(Tensor x, const std::string& name, int64_t out, bool needs_bias = false);
  // Causal self-attention of layer l on normalised x [B, T, C], through the output projection: [B, T, C].
  Tensor attention(Tensor x, int64_t l, const AttentionTraits& traits);
  Tensor gated_feed_forward(Tensor x, int64_t l, Activation activation = Activation::kSilu);  // down(f(gate x) * up x)
  Tensor plain_feed_forward(Tensor x, int64_t l);                                             // down(gelu(up x))
  // The whole of llama's kind: h += attention(norm(h)); h += feed_forward(norm(h)).
  void pre_norm_decoder(const AttentionTraits& traits);
  void head(Tensor h);  // final norm and logits

 private:
  void record_rope();
  Tensor softmax_layer(Tensor q, Tensor k, Tensor v, int64_t l, bool keep_state);
  Tensor linear_layer(Tensor q, Tensor k, Tensor v, int64_t l);

  const LinearConfig& linear_;
  const WeightSet& weights_;
  LoraScale lora_;
  const ArchitectureInfo& architecture_;
  Tensor rope_;  // table [B * T, dimensions]
};

}  // namespace margay
