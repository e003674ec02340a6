// LoRA adapters in GGUF's terms: W becomes W + scale B A, at load or merged into a file.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_table.h"
#include "models/build.h"

namespace margay {

// A correction of one weight [out, in]: a [rank, in], b [out, rank], whose rows are in GGUF's order.
struct LoraPair {
  int64_t rank = 0, in = 0, out = 0;
  float scale = 0;  // alpha / rank; rslora: alpha / sqrt(rank)
  std::vector<float> a, b;
};

// Pairs by the name of the weight ("blk.0.attn_q.weight").
struct LoraAdapter {
  std::string path;
  std::map<std::string, LoraPair> pairs;
};

// --lora FILE[=SCALE]: an adapter, and by how much it counts.
struct LoraFile {
  std::string path;
  float scale = 1;
};
LoraFile parse_lora_file(const std::string& text);  // throws Error on a scale that is no number

// Reads a PEFT folder (adapter_config.json beside adapter_model.safetensors or .bin) or a GGUF adapter for a model of
// `config` whose weights are `weights`. Throws Error naming the file and what does not fit, or what is not supported:
// DoRA, trained biases, whole modules, ranks that differ by module, targets that are no projection of a layer.
LoraAdapter read_lora(const std::string& path, const ModelConfig& config, const WeightSet& weights);

// Throws Error naming the file and the weight where a pair does not fit the model.
void check_lora(const LoraAdapter& adapter, const WeightSet& weights);

// A tensor of a checkpoint in Hugging Face's naming: "…layers.3.self_attn.q_proj.lora_A.default.weight" is layer 3,
// "self_attn.q_proj.lora_A.default.weight". Whatever wraps the model only adds to the front. False for other names.
struct LayerTensorName {
  int64_t layer = 0;
  std::string rest;
};
bool parse_layer_tensor(std::string_view name, LayerTensorName& result);

// Collects PEFT's tensors, the halves of a pair one by one.
class PeftReader {
 public:
  // alpha 0: twice the rank, as LoLCATs trains.
  PeftReader(const ModelConfig& config, double alpha, bool rank_stabilized);
  // Takes a tensor named ...lora_A.weight or lora_B.weight; false when it is none. Throws Error on an unknown target.
  bool take(const TensorEntry& tensor, const std::string& where);
  // The pairs; throws Error where a half is missing.
  LoraAdapter finish(const std::string& path);

 private:
  const ModelConfig& config_;
  double alpha_;
  bool rank_stabilized_;
  std::map<std::string, LoraPair> pairs_;
};

// One row for each projection that LoRA may correct: its name in Hugging Face's models and in GGUF.
struct LoraTarget {
  const char *module, *tensor;  // "self_attn.q_proj", "attn_q"
  bool rope;                    // its rows move with RoPE's order
};
const std::vector<LoraTarget>& lora_target_table();
// Whether rows of the weight "blk.N.<tensor>.weight" are in the interleaved order in a model of `config`.
bool has_interleaved_rows(const ModelConfig& config, std::string_view weight);

// What a model runs: adapters side by side as one, `weight`.lora_a and .lora_b with every scale inside b.
class LoraWeights {
 public:
  void add(const LoraAdapter& adapter, float scale);
  void put_into(WeightSet& weights) const;  // on top of the model's own; this must outlive them
  LoraScale scale() const { return {pairs_.empty() ? 0.0f : 1.0f}; }

 private:
  std::map<std::string, LoraPair> pairs_;
};

}  // namespace margay
