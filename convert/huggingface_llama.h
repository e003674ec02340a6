// A Llama checkpoint of Hugging Face, in GGUF's terms: configuration, tensor names, RoPE factors.
#pragma once
#include <string>
#include <vector>

#include "formats/hf_config.h"
#include "formats/tensor_table.h"
#include "models/config.h"

namespace margay {

// Throws Error naming the file, the key and what is not supported.
ModelConfig llama_config(const HfConfig& hf);

struct TensorName {
  std::string source, target;  // in Hugging Face's model and in GGUF
  std::vector<int64_t> shape;
  bool rope = false;  // rows change to the interleaved order
};

// Every tensor of the model, in GGUF's order; `tied`: no output head of its own.
std::vector<TensorName> llama_tensors(const ModelConfig& config, bool tied);

// Throws Error unless the checkpoint holds exactly these tensors in these shapes. RoPE's own buffers may be there too,
// and an output head beside tied embeddings, which Hugging Face ignores as well.
void check_tensors(const TensorTable& source, const std::vector<TensorName>& names, bool tied);

// The factors of rope_freqs.weight [rope_dimensions / 2] by which RoPE's frequencies are divided: Llama 3.1's scaling.
// Empty for the default RoPE; throws Error naming any other kind.
std::vector<float> rope_factors(const HfConfig& hf, const ModelConfig& config);
// The same of a llama3 scaling whose numbers are in order.
std::vector<float> llama3_rope_factors(const RopeConfig& rope, int64_t rope_dimensions);

}  // namespace margay
