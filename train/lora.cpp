#include "train/lora.h"

#include <cmath>
#include <sstream>

#include "train/evaluate.h"

namespace margay {

std::vector<std::string> lora_targets(const std::string& list) {
  static const std::vector<std::pair<const char*, const char*>> kNames = {
      {"q", "attn_q"},      {"k", "attn_k"},  {"v", "attn_v"},     {"o", "attn_output"},
      {"gate", "ffn_gate"}, {"up", "ffn_up"}, {"down", "ffn_down"}};
  std::vector<std::string> targets;
  std::istringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) {
    const size_t before = targets.size();
    for (const auto& [name, gguf] : kNames)
      if (item == name || item == gguf) targets.push_back(gguf);
    require(targets.size() == before + 1, "unknown LoRA target '{}'; there are q, k, v, o, gate, up and down", item);
  }
  require(!targets.empty(), "no LoRA target given; there are q, k, v, o, gate, up and down");
  return targets;
}

void add_lora_parameters(ParameterSet& parameters, const ModelConfig& config, const LinearConfig& linear,
                         const WeightSet& weights, const LoraOptions& lora, uint64_t seed) {
  require(lora.rank >= 1 && lora.rank <= config.width, "LoRA rank {}: use 1 to {}", lora.rank, config.width);
  Random random(seed);
  for (int64_t l = 0; l < config.layers; ++l) {
    if (!linear.layer(l)) continue;
    for (const std::string& target : lora.targets) {
      const std::string name = block_name(l, (target + ".weight").c_str());
      const Shape shape = weights.get(name, make_shape({-1, -1})).shape;  // [out, in]
      Parameter& a = parameters.add(name + ".lora_a", make_shape({lora.rank, shape.dim[1]}));
      parameters.add(name + ".lora_b", make_shape({shape.dim[0], lora.rank}));
      const float bound = 1 / std::sqrt(static_cast<float>(shape.dim[1]));
      for (int64_t i = 0; i < a.count(); ++i) a.values()[i] = bound * (2 * static_cast<float>(random.uniform()) - 1);
    }
  }
}

RecordModel lora_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                       const LoraOptions& lora, bool float_products) {
  return plain_model(config, linear, weights, AttentionMode::kConfigured, float_products, false, {lora.scale()});
}

Objective next_token_objective(BuiltModel& model) {
  Objective objective;
  const int64_t rows = model.logits.dim(0), sequences = model.tokens.dim(0);
  objective.targets = model.graph.input("targets", make_shape({rows}), DType::I32);
  const Tensor losses = cross_entropy(model.logits, objective.targets);
  objective.loss = affine(reduce(losses, ReduceKind::kSum, 0), 1 / static_cast<float>(rows - sequences), 0);
  return objective;
}

}  // namespace margay
