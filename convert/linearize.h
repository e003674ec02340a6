// The whole pipeline: a softmax model in, a linearized and quantized one out.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/threads.h"
#include "convert/tensor_stream.h"
#include "models/config.h"
#include "train/lora.h"
#include "train/trainer.h"

namespace margay {

struct LinearizeOptions {
  std::string source;      // GGUF file or Hugging Face folder, softmax
  std::string output;      // GGUF
  std::string data;        // training text
  std::string evaluation;  // held-out text to measure on; empty: the last part of the training text, which is then not
                           // trained on
  std::optional<ModelType> type;  // of the output; none: the base's
  std::string feature_map = "hedgehog";
  int64_t feature_dim = 0;  // 0: head_dim
  int64_t window = 64;
  WindowKind window_kind = WindowKind::kTerraced;
  bool shared_key_maps = false;  // one key map per key/value head
  bool affine = false;
  std::vector<int64_t> keep_softmax;  // layers
  TrainerOptions transfer, lora_training;
  LoraOptions lora;
  bool joint = false;        // maps are trained on in stage 2
  std::string initial_maps;  // a saved transfer stage to start from (safetensors); replaces stage 1
  uint64_t seed = 0;
  std::optional<bool> float_products;  // none: float for unquantized bases, int8 for quantized ones
  int64_t evaluation_windows = 32;     // of 1024 tokens
  bool measure_stages = true;          // perplexity of base, swap and transfer too, not of the result alone
  std::function<void(const std::string&)> say = [](const std::string&) {};  // a line for the user
};

struct LinearizeReport {
  double base_ppl = 0, swap_ppl = 0, transfer_ppl = 0, ppl = 0, window_only_ppl = 0;  // 0: not measured
  double base_late_ce = 0, late_ce = 0;                                               // targets at index >= 512
  std::string protocol;
  TrainResult transfer, lora;
  int64_t map_parameters = 0, lora_parameters = 0, training_tokens = 0;
  std::vector<std::string> notes;
  double seconds = 0;
};

// Throws Error for wrong options, and Interrupted on Ctrl-C after saving the weights beside the output.
LinearizeReport linearize(const LinearizeOptions& options, Team& team);

}  // namespace margay
