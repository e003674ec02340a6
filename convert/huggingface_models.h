// Checkpoints of Hugging Face in GGUF's terms: which model types there are, their configuration and tensor names.
#pragma once
#include <string>
#include <vector>

#include "formats/hf_config.h"
#include "formats/tensor_table.h"
#include "models/config.h"

namespace margay {

// A model type: a row of the table in huggingface_models.cpp.
struct HfModel;
const HfModel& hf_model(const std::string& model_type);  // throws Error listing what there is
// Of a config.json. Throws Error naming the file and what is not supported: the model type, a class with another head,
// a quantized checkpoint.
const HfModel& hf_model(const HfConfig& hf);

// RoPE's divisors of the frequencies that GGUF holds as a tensor.
struct RopeFactors {
  std::string tensor;         // rope_freqs.weight, rope_factors_long.weight, rope_factors_short.weight
  std::vector<float> values;  // [rope_dimensions / 2]
};

// What decides which tensors a checkpoint has.
struct HfTensorOptions {
  bool tied = false;  // no output head of its own
  bool attention_bias = false, mlp_bias = false;
};

// config.json in margay's terms.
struct HfModelConfig {
  ModelConfig model;
  std::vector<RopeFactors> rope_factors;
  HfTensorOptions tensors;
};
// Throws Error naming the file, the key and what is not supported.
HfModelConfig read_model_config(const HfConfig& hf, const HfModel& model);
// The part on RoPE, for the other parts as they are in `config`. The model type turns `part` of each head where the
// file is silent; 0: always all of it.
void read_rope(const HfConfig& hf, double part, HfModelConfig& config);

struct TensorName {
  std::string source, target;  // in Hugging Face's model and in GGUF
  std::vector<int64_t> shape;
  bool rope = false;  // rows change to the interleaved order
  float plus = 0;     // added to every element
};

// Every tensor of the model, in GGUF's order.
std::vector<TensorName> hf_tensors(const HfModel& model, const ModelConfig& config, const HfTensorOptions& options);

// Throws Error unless the checkpoint holds exactly these tensors in these shapes. RoPE's own buffers may be there too,
// and an output head beside tied embeddings, which Hugging Face ignores as well.
void check_tensors(const TensorTable& source, const HfConfig& hf, const std::vector<TensorName>& names, bool tied);

}  // namespace margay
