// One description of each model: build() records it for training, prefill, decoding and evaluation alike.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "models/config.h"
#include "models/weights.h"
#include "ops/ops.h"

namespace margay {

// Which attention the layers of a linearized model run.
enum class AttentionMode {
  kConfigured,  // linearized layers hybrid, the others softmax
  kSoftmax,     // all softmax: the base model (the teacher)
  kTransfer,    // linearized layers run both: the softmax output goes on, the pair (student, teacher) is returned
};

enum class LogitRows { kAll, kLast, kNone };

struct BuildOptions {
  int64_t sequences = 1, tokens = 1;  // B and T
  bool stateful = false;              // continue sequences: inputs `position` and states
  int64_t kv_capacity = 0;            // tokens of the softmax layers' caches, when stateful
  int64_t kv_chunk = 0;               // most tokens T of the programs that share the caches; 0: this one's
  AttentionMode attention = AttentionMode::kConfigured;
  LogitRows logits = LogitRows::kAll;
  bool float_products = false;  // multiply quantized weights in float32
  bool window_only = false;     // drop the linear terms (an evaluation)
  int32_t phase = 0;            // of the blocks, for parity with the reference's end-aligned terraces
  // In place of the model's terraces, on the same state: the reference decodes with a sliding window.
  bool sliding = false;
  int64_t last_layer = -1;  // build only layers up to this one; -1: all
};

// LoRA on a projection: y += scale * (x A^T) B^T with weights `<name>.lora_a` [r, in] and `<name>.lora_b` [out, r].
struct LoraScale {
  float scale = 0;  // alpha / rank; 0: no LoRA anywhere
};

struct LayerState {
  Tensor state;    // of the graph
  bool linear;     // LinearStateLayout, else a KV cache [2, tokens, HK, D]
  int64_t tokens;  // of the cache: all of the sequence's, or a ring of the last ones where the layer has a window
  int64_t bytes;   // of one sequence
};

struct BuiltModel {
  Graph graph;
  Tensor tokens;                                        // input [B, T] I32
  Tensor positions;                                     // input [B * T] I32: of each token, for RoPE
  Tensor position;                                      // input [B] I32: tokens before these (stateful only)
  Tensor logits;                                        // [B * T, V] or [B, V]
  std::vector<LayerState> states;                       // one a layer (stateful only)
  std::vector<std::pair<Tensor, Tensor>> transfer;      // (student, teacher) per-head outputs [B, T, H, D]
  std::vector<std::pair<std::string, Tensor>> weights;  // every weight recorded, by name

  Tensor weight(const std::string& name) const;  // throws Error when it was not recorded
};

// Records the model of `config`. Throws Error for an architecture that is not there, or weights that are missing.
std::unique_ptr<BuiltModel> build_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                                        const BuildOptions& options, LoraScale lora = {});

// The architectures: one row each.
struct ArchitectureInfo {
  const char* name;    // in GGUF
  bool permuted_rope;  // q and k rows are in GGUF's interleaved RoPE order
  bool layer_norms;    // else RMS norms
  void (*build)(class ModelBuilder& builder);
  // What a file without the key has.
  int64_t window = 0, window_period = 0;  // config.h
  float attention_soft_cap = 0, logit_soft_cap = 0;

  const char* epsilon_key() const {
    return layer_norms ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
  }
};
const ArchitectureInfo& architecture_info(const std::string& name);  // throws Error listing what there is

}  // namespace margay
