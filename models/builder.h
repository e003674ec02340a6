// The blocks that architectures share. Shapes: B sequences, T tokens, C width, H heads, HK key/value heads, D head_dim.
#pragma once
#include "models/build.h"

namespace margay {

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
  Tensor norm(Tensor x, const std::string& name);                                         // RMS norm
  // x [B, T, in] -> [B, T, out], with LoRA where the weights have it.
  Tensor project(Tensor x, const std::string& name, int64_t out);
  // Causal self-attention of layer l on normalised x [B, T, C], through the output projection: [B, T, C].
  Tensor attention(Tensor x, int64_t l, bool half_split_rope);
  Tensor feed_forward(Tensor x, int64_t l);  // SwiGLU
  void head(Tensor h);                       // final norm and logits

 private:
  Tensor softmax_layer(Tensor q, Tensor k, Tensor v, int64_t l, bool keep_state);
  Tensor linear_layer(Tensor q, Tensor k, Tensor v, int64_t l);

  const LinearConfig& linear_;
  const WeightSet& weights_;
  LoraScale lora_;
  Tensor rope_;  // table [B * T, dimensions]
};

}  // namespace margay
