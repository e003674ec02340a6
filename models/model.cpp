#include "models/model.h"

#include "base/file.h"

namespace margay {
namespace {

const std::string& model_file(const std::string& path) {
  require(!is_directory(path), "{}: is a folder; `margay convert {} -o model.gguf` makes a model file of it", path,
          path);
  return path;
}

LoraWeights read_adapters(const std::vector<LoraFile>& adapters, const ModelConfig& config, const GgufFile& file) {
  LoraWeights lora;
  const WeightSet weights(file);
  for (const LoraFile& adapter : adapters) lora.add(read_lora(adapter.path, config, weights), adapter.scale);
  return lora;
}

WeightSet with_adapters(const GgufFile& file, const LoraWeights& lora) {
  WeightSet weights(file);
  lora.put_into(weights);
  return weights;
}

}  // namespace

Model::Model(const std::string& path, const MapOptions& options, const std::vector<LoraFile>& adapters)
    : file(model_file(path), options),
      config(read_model_config(file)),
      linear(read_linear_config(file, config)),
      lora(read_adapters(adapters, config, file)),
      weights(with_adapters(file, lora)),
      tokenizer(Tokenizer::from_gguf(file)) {
  architecture_info(config.architecture);
  require(tokenizer.vocab_size() <= config.vocabulary, "{}: the tokenizer has {} tokens, the model only {}", path,
          tokenizer.vocab_size(), config.vocabulary);
}

int64_t Model::weight_bytes() const {
  int64_t bytes = 0;
  for (const TensorEntry& tensor : file.tensors()) bytes += static_cast<int64_t>(tensor.bytes);
  return bytes;
}

int64_t Model::decode_bytes() const {
  const bool tied = file.find("output.weight") == nullptr;
  return weight_bytes() - (tied ? 0 : static_cast<int64_t>(file.tensor("token_embd.weight").bytes));
}

int64_t Model::linear_state_bytes() const {
  int64_t bytes = 0;
  for (int64_t l = 0; l < config.layers; ++l)
    if (linear.layer(l)) bytes += linear_state_layout(config, linear).floats() * 4;
  return bytes;
}

int64_t Model::kv_bytes_per_token() const {
  int64_t bytes = 0;
  for (int64_t l = 0; l < config.layers; ++l)
    if (!linear.layer(l)) bytes += 2 * config.kv_heads * config.head_dim * 4;
  return bytes;
}

}  // namespace margay
