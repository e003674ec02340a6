// Reading adapters: PEFT's folders and GGUF's files.
#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/checkpoint.h"
#include "formats/json.h"
#include "models/lora.h"
#include "models/rope_permutation.h"

namespace margay {
namespace {

// "blk.3." of a layer's weight.
std::string weight_name(int64_t layer, const LoraTarget& target) {
  return fmt::format("blk.{}.{}.weight", layer, target.tensor);
}

// The half of a pair that a name ends with: "X.lora_A.weight", "X.lora_A.default.weight"; 0 for none.
char split_half(std::string_view rest, std::string_view& module) {
  for (const char half : {'A', 'B'}) {
    const std::string mark = fmt::format(".lora_{}.", half);
    const size_t at = rest.find(mark);
    if (at == std::string_view::npos || !rest.ends_with(".weight")) continue;
    module = rest.substr(0, at);
    return half;
  }
  return 0;
}

void set_half(LoraPair& pair, bool is_b, const TensorEntry& tensor, const std::string& where) {
  require(tensor.shape.size() == 2, "{}: tensor {} has shape {}, expected a matrix", where, tensor.name,
          shape_text(tensor.shape));
  std::vector<float>& half = is_b ? pair.b : pair.a;
  require(half.empty(), "{}: tensor {} is there twice", where, tensor.name);
  const int64_t rank = tensor.shape[is_b ? 1 : 0];
  require(rank >= 1 && (pair.rank == 0 || pair.rank == rank), "{}: tensor {} is of rank {}, its other half of {}",
          where, tensor.name, rank, pair.rank);
  half = to_float(tensor);
  for (const float value : half)
    require(std::isfinite(value), "{}: tensor {} holds {} (damaged file)", where, tensor.name, value);
  pair.rank = rank;
  (is_b ? pair.out : pair.in) = tensor.shape[is_b ? 0 : 1];
}

void check_whole(const std::map<std::string, LoraPair>& pairs, const std::string& path) {
  require(!pairs.empty(), "{}: holds no LoRA weights", path);
  for (const auto& [name, pair] : pairs)
    require(!pair.a.empty() && !pair.b.empty(), "{}: LoRA on {} has no {} half", path, name,
            pair.a.empty() ? "A" : "B");
}

// adapter_config.json: what a conversion needs of it; refuses what it may ask for and margay does not have.
struct PeftSettings {
  double alpha = 0;
  bool rank_stabilized = false;
};

PeftSettings read_settings(const std::string& path) {
  const nlohmann::json json = parse_json(read_text_file(path), path);
  require(json.is_object(), "{}: holds {}, expected an object", path, json_kind(json));
  const auto unset = [](const nlohmann::json& value) {
    return value.is_null() || value == false || value == "none" || (value.is_structured() && value.empty());
  };
  for (const char* key : {"use_dora", "fan_in_fan_out", "lora_bias", "bias", "modules_to_save", "layer_replication",
                          "rank_pattern", "alpha_pattern"}) {
    const auto found = json.find(key);
    if (found == json.end() || unset(*found)) continue;
    fail("{}: {} {} is not supported", path, key,
         found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(0, 100));
  }
  require(json.value("peft_type", nlohmann::json("LORA")) == "LORA", "{}: its peft_type is not supported, LORA is",
          path);
  const nlohmann::json alpha = json.value("lora_alpha", nlohmann::json());
  require(alpha.is_number() && alpha.get<double>() > 0, "{}: lora_alpha is {}, expected a positive number", path,
          json_kind(alpha));
  return {alpha.get<double>(), json.value("use_rslora", nlohmann::json()) == true};
}

LoraAdapter read_peft(const std::string& folder, const ModelConfig& config) {
  const std::string settings_path = folder + "/adapter_config.json";
  require(file_exists(settings_path), "{}: has no adapter_config.json; give a PEFT adapter folder", folder);
  const PeftSettings settings = read_settings(settings_path);
  std::string weights = folder + "/adapter_model.safetensors";
  if (!file_exists(weights)) weights = folder + "/adapter_model.bin";
  require(file_exists(weights), "{}: has neither adapter_model.safetensors nor adapter_model.bin", folder);
  const Checkpoint source(weights);
  PeftReader reader(config, settings.alpha, settings.rank_stabilized);
  for (const TensorEntry& tensor : source.tensors())
    require(reader.take(tensor, weights), "{}: tensor {} is no LoRA weight of a layer", weights, tensor.name);
  return reader.finish(folder);
}

LoraAdapter read_gguf_adapter(const std::string& path, const ModelConfig& config) {
  const GgufFile file(path);
  const auto type = file.string_or("general.type", "model"), kind = file.string_or("adapter.type", "");
  require(type == "adapter" && kind == "lora", "{}: is a {} {}, expected an adapter of type lora", path, type, kind);
  std::string architecture(file.string("general.architecture"));
  require(architecture == config.architecture, "{}: is for a model of architecture {}, this one is {}", path,
          architecture, config.architecture);
  const double alpha = file.f64("adapter.lora.alpha");
  LoraAdapter adapter{path, {}};
  for (const TensorEntry& tensor : file.tensors()) {
    const bool is_b = tensor.name.ends_with(".lora_b");
    require(is_b || tensor.name.ends_with(".lora_a"), "{}: tensor {} is no LoRA weight", path, tensor.name);
    set_half(adapter.pairs[tensor.name.substr(0, tensor.name.size() - 7)], is_b, tensor, path);
  }
  check_whole(adapter.pairs, path);
  // llama.cpp takes alpha 0 for "no scaling".
  for (auto& [name, pair] : adapter.pairs)
    pair.scale = alpha == 0 ? 1.0f : static_cast<float>(alpha / static_cast<double>(pair.rank));
  return adapter;
}

}  // namespace

PeftReader::PeftReader(const ModelConfig& config, double alpha, bool rank_stabilized)
    : config_(config), alpha_(alpha), rank_stabilized_(rank_stabilized) {}

bool PeftReader::take(const TensorEntry& tensor, const std::string& where) {
  LayerTensorName name;
  std::string_view module;
  if (!parse_layer_tensor(tensor.name, name)) return false;
  const char half = split_half(name.rest, module);
  if (!half) return false;
  const LoraTarget* target = nullptr;
  for (const LoraTarget& row : lora_target_table())
    if (module == row.module) target = &row;
  require(target != nullptr, "{}: LoRA on {} is not supported", where, module);
  require(name.layer < config_.layers, "{}: tensor {} is of layer {}, the model has {}", where, tensor.name, name.layer,
          config_.layers);
  LoraPair& pair = pairs_[weight_name(name.layer, *target)];
  set_half(pair, half == 'B', tensor, where);
  if (half == 'A' || !target->rope || !architecture_info(config_.architecture).permuted_rope) return true;
  require(pair.out % config_.head_dim == 0, "{}: tensor {} has {} rows, no multiple of the head's {}", where,
          tensor.name, pair.out, config_.head_dim);
  std::vector<float> moved(pair.b.size());
  interleave_rows(pair.b.data(), moved.data(), pair.out, pair.rank, config_.head_dim);
  pair.b = std::move(moved);
  return true;
}

LoraAdapter PeftReader::finish(const std::string& path) {
  check_whole(pairs_, path);
  for (auto& [name, pair] : pairs_) {
    const auto rank = static_cast<double>(pair.rank);
    const double alpha = alpha_ > 0 ? alpha_ : 2 * rank;
    pair.scale = static_cast<float>(alpha / (rank_stabilized_ ? std::sqrt(rank) : rank));
  }
  return {path, std::move(pairs_)};
}

LoraAdapter read_lora(const std::string& path, const ModelConfig& config, const WeightSet& weights) {
  require(file_exists(path), "{}: does not exist; give a PEFT adapter folder or a GGUF adapter", path);
  LoraAdapter adapter = is_directory(path) ? read_peft(path, config) : read_gguf_adapter(path, config);
  check_lora(adapter, weights);
  return adapter;
}

}  // namespace margay
