// Stage 2, LoRA: low-rank corrections of the projections repair what transfer left; next-token cross-entropy.
#pragma once
#include "train/trainer.h"

namespace margay {

struct LoraOptions {
  int64_t rank = 8;
  float alpha = 16;
  std::vector<std::string> targets = {"attn_q", "attn_k", "attn_v", "attn_output"};  // GGUF names
  float scale() const { return alpha / static_cast<float>(rank); }
};

// "q,k,v,o" (or gate, up, down, or GGUF's names) to GGUF's names; throws Error listing what there is.
std::vector<std::string> lora_targets(const std::string& list);

// Adds blk.N.<target>.weight.lora_a [rank, in] ~ U(+-1/sqrt(in)) and .lora_b [out, rank] = 0 for every linearized
// layer.
void add_lora_parameters(ParameterSet& parameters, const ModelConfig& config, const LinearConfig& linear,
                         const WeightSet& weights, const LoraOptions& lora, uint64_t seed);

RecordModel lora_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                       const LoraOptions& lora, bool float_products);

// Mean cross-entropy of the next token over all targets of the rows.
Objective next_token_objective(BuiltModel& model);

}  // namespace margay
