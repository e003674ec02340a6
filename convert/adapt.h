// A base model with LoRA merged into it, or linearized by a LoLCATs checkpoint: one GGUF file.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "convert/lolcats.h"
#include "convert/target_jobs.h"

namespace margay {

struct AdaptOptions {
  std::string source, output;           // a model of any kind; GGUF
  std::string tokenizer;                // as in convert_model()
  std::optional<TargetOptions> target;  // of the weights; none: each keeps the base's own
  int threads = 1;
  std::vector<LoraFile> loras;  // merged, in float32
  LolcatsOptions lolcats;       // without checkpoints: the base's attention stays
  std::string keep_lora;        // writes the checkpoint's LoRA there, as a GGUF adapter, instead of merging it
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

// Converts the base beside the output first where it is no GGUF file. Throws Error as reading the parts and writing the
// file do; `output` is then as it was.
ConvertReport convert_adapted(const AdaptOptions& options);

}  // namespace margay
