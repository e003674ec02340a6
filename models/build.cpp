#include "models/build.h"

#include "models/builder.h"
#include "models/llama.h"

namespace margay {
namespace {

constexpr ArchitectureInfo kArchitectures[] = {
    {"llama", true, build_llama},
};

}  // namespace

const ArchitectureInfo& architecture_info(const std::string& name) {
  std::string names;
  for (const ArchitectureInfo& row : kArchitectures) {
    if (name == row.name) return row;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  }
  fail("architecture '{}' is not there yet; there is {}", name, names);
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
