// Checkpoints of the LoLCATs reference implementation (lolcats.md, section 6): feature maps, window factors and LoRA on
// top of a base model.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/lora.h"

namespace margay {

// What a checkpoint does not say about itself. Each field goes before the YAML files, those before the names of the
// checkpoint's files, and those before what LoLCATs published: Hedgehog maps, terraces of 64, alpha twice the rank.
struct LolcatsOptions {
  std::vector<std::string> checkpoints;  // _distill.pt, _ft.pt, model.pt: later ones go before earlier ones
  std::vector<std::string> configs;      // YAML of the model and of the experiment
  std::string feature_map, window_kind;  // empty: not given
  int64_t window = 0;                    // 0: not given
  double lora_alpha = 0;                 // 0: not given
};

// A linearization in GGUF's terms.
struct LolcatsModel {
  LinearConfig linear;
  // blk.N.attn_fmap_q.weight, .bias, attn_window_factor...: float32 in GGUF's shapes and order of elements.
  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };
  std::map<std::string, Tensor> tensors;
  std::optional<LoraAdapter> lora;
  std::vector<std::string> notes;  // what was assumed: one line each
};

// Reads checkpoints (PyTorch or safetensors) of a model of `config`. Keys are matched by their end, from "layers.N." on,
// whatever wraps the model. Throws Error naming the file and the key: unknown keys, shapes that do not fit, maps that
// are missing, and configurations that margay does not have.
LolcatsModel read_lolcats(const LolcatsOptions& options, const ModelConfig& config, const WeightSet& weights);

// The reference's map (H, d, F) to ours [H, F, d] and back; `interleaved`: our d in GGUF's RoPE order.
std::vector<float> map_from_reference(const std::vector<float>& map, int64_t heads, int64_t d, int64_t f,
                                      bool interleaved);
std::vector<float> map_to_reference(const std::vector<float>& map, int64_t heads, int64_t d, int64_t f,
                                    bool interleaved);

}  // namespace margay
