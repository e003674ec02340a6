#include "convert/export.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "convert/lolcats.h"
#include "convert/target_type.h"
#include "convert/tensor_stream.h"
#include "formats/safetensors.h"
#include "models/rope_permutation.h"

namespace margay {
namespace {

namespace fs = std::filesystem;

// Tensors in memory on their way into a safetensors file.
struct FloatTensors {
  std::vector<TensorEntry> entries;
  std::vector<std::vector<float>> values;  // grows as entries point into it: their memory stays where it is

  void add(const std::string& name, std::vector<int64_t> shape, std::vector<float> numbers) {
    values.push_back(std::move(numbers));
    const std::vector<float>& kept = values.back();
    entries.push_back({name, DType::F32, std::move(shape), reinterpret_cast<const std::byte*>(kept.data()),
                       kept.size() * sizeof(float)});
  }
};

const LoraTarget& target_of(const std::string& weight, const ModelConfig& config, int64_t& layer) {
  layer = layer_of(weight);
  const LoraTarget* found = nullptr;
  // Phi's projections have names of their own, further down in the table.
  const bool phi = config.architecture == "phi2";
  for (const LoraTarget& row : lora_target_table())
    if (weight == block_name(layer, row.tensor) + ".weight" && (!found || phi)) found = &row;
  require(found != nullptr, "LoRA on {} has no name in Hugging Face's models", weight);
  return *found;
}

// The adapter's halves under `prefix`model.layers.N.self_attn.q_proj.lora_A`suffix`.weight, B's rows in Hugging Face's
// order.
void add_lora(FloatTensors& out, const LoraAdapter& adapter, const ModelConfig& config, float scale,
              const std::string& suffix) {
  for (const auto& [name, pair] : adapter.pairs) {
    int64_t layer = 0;
    const LoraTarget& target = target_of(name, config, layer);
    std::vector<float> b(pair.b.size());
    const bool interleaved = has_interleaved_rows(config, name);
    for (int64_t row = 0; row < pair.out; ++row) {
      const int64_t to = interleaved ? half_split_row(row, config.head_dim) : row;
      for (int64_t i = 0; i < pair.rank; ++i)
        b[static_cast<size_t>(to * pair.rank + i)] = scale * pair.b[static_cast<size_t>(row * pair.rank + i)];
    }
    const std::string module = fmt::format("base_model.model.model.layers.{}.{}", layer, target.module);
    out.add(fmt::format("{}.lora_A{}.weight", module, suffix), {pair.rank, pair.in}, pair.a);
    out.add(fmt::format("{}.lora_B{}.weight", module, suffix), {pair.out, pair.rank}, std::move(b));
  }
}

// alpha, from which scale = alpha / rank of every pair comes out again to the bit.
double common_alpha(const LoraAdapter& adapter) {
  double alpha = 0;
  for (const auto& [name, pair] : adapter.pairs) {
    const auto rank = static_cast<double>(pair.rank);
    if (alpha == 0) alpha = static_cast<double>(static_cast<float>(static_cast<double>(pair.scale) * rank));
    require(static_cast<float>(alpha / rank) == pair.scale,
            "{}: LoRA on {} is scaled by {} at rank {}, another by alpha {}: one alpha must do for all", adapter.path,
            name, pair.scale, pair.rank, alpha);
  }
  return alpha;
}

void make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  require(is_directory(folder), "{}: cannot create this folder: {}", folder, error.message());
}

std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

void export_lolcats(const GgufFile& model, const std::vector<LoraFile>& adapters, const std::string& out) {
  std::vector<std::string> inputs = model.paths();
  for (const LoraFile& adapter : adapters) inputs.push_back(adapter.path);
  check_output(out, inputs);
  const ModelConfig config = read_model_config(model);
  const LinearConfig linear = read_linear_config(model, config);
  require(linear.any(), "{}: is a softmax model; it has no feature maps", model.path());
  require(linear.key_map_heads == config.heads,
          "{}: its key maps are shared by groups of heads, LoLCATs has one a head", model.path());
  const bool interleaved = architecture_info(config.architecture).permuted_rope;
  FloatTensors tensors;
  for (int64_t l = 0; l < config.layers; ++l) {
    if (!linear.layer(l)) continue;
    const std::string attention = fmt::format("model.layers.{}.self_attn.", l);
    const std::vector<int64_t> one_a_head = {1, config.heads, 1, 1};
    for (const char map : {'q', 'k'}) {
      const TensorEntry& weight = model.tensor(fmt::format("blk.{}.attn_fmap_{}.weight", l, map));
      const int64_t h = config.heads, d = config.head_dim, f = linear.feature_dim;
      require(weight.shape == std::vector<int64_t>({h, f, d}), "{}: {} has shape {}, expected [{}, {}, {}]",
              model.path(), weight.name, shape_text(weight.shape), h, f, d);
      tensors.add(fmt::format("{}feature_map_{}.mlp.layer", attention, map), {h, d, f},
                  map_to_reference(to_float(weight), h, d, f, interleaved));
      if (const TensorEntry* bias = model.find(fmt::format("blk.{}.attn_fmap_{}.bias", l, map)))
        tensors.add(fmt::format("{}feature_map_{}.mlp.bias", attention, map), one_a_head, to_float(*bias));
    }
    if (const TensorEntry* factor = model.find(block_name(l, "attn_window_factor")))
      tensors.add(attention + "window_factors", one_a_head, to_float(*factor));
  }
  std::map<std::string, std::string> metadata = {{"margay.feature_map", linear.feature_map},
                                                 {"margay.window_kind", window_kind_name(linear.window_kind)},
                                                 {"margay.window", std::to_string(linear.window)},
                                                 {"margay.affine", linear.affine ? "true" : "false"}};
  for (const LoraFile& file : adapters) {
    const LoraAdapter adapter = read_lora(file.path, config, WeightSet(model, config));
    metadata["margay.lora_alpha"] = fmt::format("{}", common_alpha(adapter));
    add_lora(tensors, adapter, config, file.scale, ".default");
  }
  write_safetensors(out, tensors.entries, metadata);
}

void export_gguf_lora(const LoraAdapter& adapter, const ModelConfig& config, const std::string& out) {
  check_output(out, {adapter.path});
  GgufWriter writer;
  writer.set("general.architecture", config.architecture);
  writer.set("general.type", "adapter");
  writer.set("adapter.type", "lora");
  writer.set("adapter.lora.alpha", static_cast<float>(common_alpha(adapter)));
  std::vector<const std::vector<float>*> halves;
  for (const auto& [name, pair] : adapter.pairs) {
    writer.add_tensor(name + ".lora_a", DType::F32, {pair.rank, pair.in});
    writer.add_tensor(name + ".lora_b", DType::F32, {pair.out, pair.rank});
    halves.push_back(&pair.a), halves.push_back(&pair.b);
  }
  writer.write(out, [&](size_t index, const GgufWriter::Sink& sink) {
    sink(halves[index]->data(), halves[index]->size() * sizeof(float));
  });
}

void export_peft(const LoraAdapter& adapter, const ModelConfig& config, const std::string& folder) {
  make_folder(folder);
  FloatTensors tensors;
  add_lora(tensors, adapter, config, 1, "");
  std::set<std::string> modules;
  int64_t layer = 0, rank = adapter.pairs.begin()->second.rank;
  for (const auto& [name, pair] : adapter.pairs) {
    const std::string module = target_of(name, config, layer).module;
    modules.insert(module.substr(module.rfind('.') + 1));
    require(pair.rank == rank, "{}: LoRA on {} is of rank {}, another of {}: PEFT has one rank for all", adapter.path,
            name, pair.rank, rank);
  }
  write_safetensors(folder + "/adapter_model.safetensors", tensors.entries, {{"format", "pt"}});
  write_text_file(folder + "/adapter_config.json", json_text({{"peft_type", "LORA"},
                                                              {"task_type", "CAUSAL_LM"},
                                                              {"base_model_name_or_path", nullptr},
                                                              {"r", rank},
                                                              {"lora_alpha", common_alpha(adapter)},
                                                              {"lora_dropout", 0.0},
                                                              {"bias", "none"},
                                                              {"fan_in_fan_out", false},
                                                              {"inference_mode", true},
                                                              {"target_modules", modules}}));
}

}  // namespace margay
