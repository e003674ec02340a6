#include "models/build.h"

#include "models/architectures.h"

namespace margay {
namespace {

constexpr ArchitectureInfo kArchitectures[] = {
    {"llama", true, false, build_llama},  {"phi2", false, true, build_phi2},
    {"phi3", false, false, build_phi3},   {"qwen2", false, false, build_qwen2},
    {"qwen3", false, false, build_qwen3}, {"gemma2", false, false, build_gemma2, 4096, 2, 50, 30},
};

}  // namespace

const ArchitectureInfo& architecture_info(const std::string& name) {
  std::string names;
  for (const ArchitectureInfo& row : kArchitectures) {
    if (name == row.name) return row;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  }
  fail("architecture '{}' is not supported; there are {}", name, names);
}

Tensor BuiltModel::weight(const std::string& name) const {
  for (const auto& [known, tensor] : weights)
    if (known == name) return tensor;
  fail("weight {} is not part of the model", name);
}

std::unique_ptr<BuiltModel> build_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                                        const BuildOptions& options, LoraScale lora) {
  auto model = std::make_unique<BuiltModel>();
  ModelBuilder builder(*model, config, linear, weights, options, lora);
  architecture_info(config.architecture).build(builder);
  return model;
}

}  // namespace margay
