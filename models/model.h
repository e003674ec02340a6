// A model file, opened: mapped weights, configuration, tokenizer.
#pragma once
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "formats/tokenizer.h"
#include "models/build.h"
#include "models/lora.h"

namespace margay {

class Model {
 public:
  // Opens a GGUF file, and adapters to run on top of its weights. Throws Error naming what is wrong or not supported.
  explicit Model(const std::string& path, const MapOptions& options = {}, const std::vector<LoraFile>& adapters = {});
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const GgufFile file;
  const ModelConfig config;
  const LinearConfig linear;  // linear.any() is false for a softmax model
  const LoraWeights lora;
  const WeightSet weights;  // the file's, with the adapters' beside them
  const Tokenizer tokenizer;

  int64_t weight_bytes() const;  // of all tensors
  // Bytes of weights that decoding a token reads: all but an embedding table that is not the head too.
  int64_t decode_bytes() const;
  // Bytes of a sequence's state: constant part (linearized layers) and, for each token of capacity, the KV caches'
  // part (a layer with a window takes no more than the window).
  int64_t linear_state_bytes() const;
  int64_t kv_bytes_per_token() const;
};

}  // namespace margay
