#include "models/model.h"

#include <set>

#include "base/file.h"

namespace margay {
namespace {

const std::string& model_file(const std::string& path) {
  require(!is_directory(path), "{}: is a folder; `margay convert {} -o model.gguf` makes a model file of it", path,
          path);
  return path;
}

// Records the model once, so that a missing tensor is an error here, and refuses tensors that it has no use for: they
// would be a variant that margay does not know.
void check_weights(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights) {
  const std::unique_ptr<BuiltModel> built = build_model(config, linear, weights, {});
  std::set<std::string_view> used;
  for (const auto& [name, tensor] : built->weights) used.insert(name);
  for (const auto& [name, weight] : weights.all()) {
    // RoPE factors for texts of another length, and the maps of a layer that is softmax again, have no use.
    const bool idle = name.starts_with("rope_factors_") || name.find(".attn_fmap_") != std::string::npos ||
                      name.find(".attn_window_factor") != std::string::npos;
    require(used.contains(name) || idle, "{}: tensor {} is not part of a {} model as margay knows it", weights.origin(),
            name, config.architecture);
  }
}

LoraWeights read_adapters(const std::vector<LoraFile>& adapters, const ModelConfig& config, const GgufFile& file) {
  LoraWeights lora;
  const WeightSet weights(file, config);
  for (const LoraFile& adapter : adapters) lora.add(read_lora(adapter.path, config, weights), adapter.scale);
  return lora;
}

WeightSet with_adapters(const GgufFile& file, const ModelConfig& config, const LoraWeights& lora) {
  WeightSet weights(file, config);
  lora.put_into(weights);
  return weights;
}

}  // namespace

Model::Model(const std::string& path, const MapOptions& options, const std::vector<LoraFile>& adapters)
    : file(model_file(path), options),
      config(read_model_config(file)),
      linear(read_linear_config(file, config)),
      lora(read_adapters(adapters, config, file)),
      weights(with_adapters(file, config, lora)),
      tokenizer(Tokenizer::from_gguf(file)) {
  check_weights(config, linear, WeightSet(file, config));
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
