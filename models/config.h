// What a model is: its shape, and which layers are linearized how. Read from and written to GGUF metadata.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/feature_map.h"
#include "models/rope.h"
#include "ops/attention/state.h"
#include "ops/params.h"

namespace margay {

// The base architecture's numbers. GGUF keys <arch>.* of the same meaning are named in config.cpp.
struct ModelConfig {
  std::string architecture;  // of the base: "llama", never "llama-linear"
  int64_t layers = 0, width = 0, feed_forward = 0, vocabulary = 0, context = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t rope_dimensions = 0;
  double rope_base = 10000.0;
  RopeScaling rope_scaling;
  float norm_epsilon = 1e-5f;
  int64_t window = 0;                                // of sliding-window attention, in tokens; 0: none
  std::vector<bool> windowed;                        // layers with that window; empty: all
  double attention_scale = 0;                        // of scores q.k; 0: 1 / sqrt(head_dim)
  float attention_soft_cap = 0, logit_soft_cap = 0;  // 0: none

  int64_t window_of(int64_t l) const { return windowed.empty() || windowed[static_cast<size_t>(l)] ? window : 0; }
  float score_scale() const;
  // Tokens for which the model was made: a session's default. Past it, frequencies that depend on a text's length
  // would change for short texts too.
  int64_t usual_context() const { return rope_scaling.by_length() ? rope_scaling.original_context : context; }
};

// Where an architecture has windows, the layers that have one: all but every `period`-th (0: all).
std::vector<bool> alternating_windows(int64_t layers, int64_t period);

// How attention is linearized. `layers` is empty for a softmax model.
struct LinearConfig {
  std::vector<bool> layers;  // true: linearized, false: softmax kept
  std::string feature_map = "hedgehog";
  int64_t feature_dim = 64;   // columns F of each map's W
  int64_t key_map_heads = 0;  // heads (the paper: a map per query head) or kv_heads (shared in the group)
  int64_t window = 64;
  WindowKind window_kind = WindowKind::kTerraced;
  bool affine = false;  // the linear terms' factor is 1 - window factor

  bool any() const;
  bool layer(int64_t l) const { return l < static_cast<int64_t>(layers.size()) && layers[static_cast<size_t>(l)]; }
  int64_t features() const { return feature_map_info(feature_map).features(feature_dim); }
  // Age at which a key's features enter the sums: the window, or at once without one.
  int64_t age() const { return window_kind == WindowKind::kNone ? 0 : window; }
};

const char* window_kind_name(WindowKind kind);              // "none", "sliding", "terraced"
WindowKind window_kind_from_name(const std::string& name);  // throws Error listing the names

// Reads general.architecture and its keys; throws Error naming the file, the key and what is not supported.
ModelConfig read_model_config(const GgufFile& file);
LinearConfig read_linear_config(const GgufFile& file, const ModelConfig& config);
// Replaces general.architecture and the <arch>.attention.linear.* keys, renaming <old>.* keys to <arch>-linear.*.
// `writer` must hold the base's metadata already under the base's prefix.
void write_model_config(GgufWriter& writer, const ModelConfig& config, const LinearConfig& linear);

// State of one linearized layer for one sequence.
LinearStateLayout linear_state_layout(const ModelConfig& config, const LinearConfig& linear);
HybridAttentionParams hybrid_params(const ModelConfig& config, const LinearConfig& linear);

}  // namespace margay
