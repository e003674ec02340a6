#include "convert/lolcats.h"

#include <cmath>

#include "convert/lolcats_config.h"
#include "formats/checkpoint.h"
#include "models/rope_permutation.h"

namespace margay {
namespace {

constexpr int64_t kPublishedWindow = 64;

class Reader {
 public:
  Reader(const LolcatsOptions& options, const ModelConfig& config)
      : config_(config),
        settings_(read_lolcats_config(options)),
        lora_(config, settings_.lora_alpha.value_or(0), false) {
    for (const std::string& path : options.checkpoints) read_file(path);
  }

  LolcatsModel finish(const LolcatsOptions& options, const WeightSet& weights) {
    const std::string& path = options.checkpoints.front();
    model_.linear.layers.assign(static_cast<size_t>(config_.layers), false);
    for (const auto& [name, tensor] : model_.tensors)
      for (int64_t l = 0; l < config_.layers; ++l)
        if (name == block_name(l, "attn_fmap_q.weight")) model_.linear.layers[static_cast<size_t>(l)] = true;
    require(model_.linear.any(), "{}: holds no feature maps; name the _distill.pt too", path);
    configure(path);
    for (int64_t l = 0; l < config_.layers; ++l) check_layer(l, path);
    if (!has_lora_) return std::move(model_);
    model_.lora = lora_.finish(options.checkpoints.back());
    check_lora(*model_.lora, weights);
    if (!settings_.lora_alpha) note("nothing says LoRA's alpha: taken as twice the rank, as LoLCATs trains");
    return std::move(model_);
  }

 private:
  void note(const std::string& text) { model_.notes.push_back(text); }

  void read_file(const std::string& path) {
    const Checkpoint file(path);
    for (const TensorEntry& tensor : file.tensors()) read_tensor(tensor, path);
    for (const auto& [name, type] : file.unsupported())
      fail("{}: tensor {} has type {}, which margay cannot read", path, name, type);
  }

  void read_tensor(const TensorEntry& tensor, const std::string& path) {
    if (tensor.name.ends_with("rotary_emb.inv_freq")) return;
    if (lora_.take(tensor, path)) {
      has_lora_ = true;
      return;
    }
    LayerTensorName name;
    const bool layer = parse_layer_tensor(tensor.name, name);
    require(layer && name.layer < config_.layers, "{}: tensor {} is no part of a LoLCATs checkpoint for {} layers",
            path, tensor.name, config_.layers);
    constexpr std::string_view kAttention = "self_attn.";
    const std::string rest = name.rest.starts_with(kAttention) ? name.rest.substr(kAttention.size()) : name.rest;
    if (rest == "window_factor") return;  // another name of window_factors
    for (const char map : {'q', 'k'}) {
      if (rest == fmt::format("feature_map_{}.mlp.layer", map)) return set_map(tensor, name.layer, map, path);
      if (rest == fmt::format("feature_map_{}.mlp.bias", map))
        return set_vector(tensor, fmt::format("blk.{}.attn_fmap_{}.bias", name.layer, map), path);
    }
    if (rest == "window_factors") return set_vector(tensor, block_name(name.layer, "attn_window_factor"), path);
    fail("{}: tensor {} is none of LoLCATs' own (feature maps, window factors, LoRA)", path, tensor.name);
  }

  void set(const std::string& name, std::vector<int64_t> shape, std::vector<float> values, const TensorEntry& tensor,
           const std::string& path) {
    for (const float value : values)
      require(std::isfinite(value), "{}: tensor {} holds {} (damaged file)", path, tensor.name, value);
    model_.tensors[name] = {std::move(shape), std::move(values)};
  }

  void set_map(const TensorEntry& tensor, int64_t layer, char map, const std::string& path) {
    const std::vector<int64_t>& shape = tensor.shape;  // (H, d, F)
    require(shape.size() == 3 && shape[0] == config_.heads && shape[1] == config_.head_dim && shape[2] >= 1,
            "{}: tensor {} has shape {}, expected [{}, {}, features]", path, tensor.name, shape_text(shape),
            config_.heads, config_.head_dim);
    const bool interleaved = architecture_info(config_.architecture).permuted_rope;
    set(fmt::format("blk.{}.attn_fmap_{}.weight", layer, map), {shape[0], shape[2], shape[1]},
        map_from_reference(to_float(tensor), shape[0], shape[1], shape[2], interleaved), tensor, path);
  }

  void set_vector(const TensorEntry& tensor, const std::string& name, const std::string& path) {
    require(tensor.elements() == config_.heads, "{}: tensor {} has shape {}, expected one number for each of {} heads",
            path, tensor.name, shape_text(tensor.shape), config_.heads);
    set(name, {config_.heads}, to_float(tensor), tensor, path);
  }

  bool has(int64_t layer, const char* name) const { return model_.tensors.contains(block_name(layer, name)); }

  int64_t first_layer() const {
    int64_t l = 0;
    while (!model_.linear.layer(l)) ++l;
    return l;
  }

  void configure(const std::string& path) {
    LinearConfig& linear = model_.linear;
    const int64_t first = first_layer();
    const bool bias = has(first, "attn_fmap_q.bias"), window = has(first, "attn_window_factor");
    linear.feature_map = settings_.feature_map.value_or(bias ? "t2r" : "hedgehog");
    require(feature_map_info(linear.feature_map).bias == bias, "{}: its feature maps have {} bias, {} maps have {}",
            path, bias ? "a" : "no", linear.feature_map, bias ? "none" : "one");
    linear.feature_dim = model_.tensors.at(block_name(first, "attn_fmap_q.weight")).shape[1];
    linear.key_map_heads = config_.heads;
    linear.window_kind = settings_.window_kind.value_or(window ? WindowKind::kTerraced : WindowKind::kNone);
    require((linear.window_kind != WindowKind::kNone) == window, "{}: it has {}window factors, window kind is {}", path,
            window ? "" : "no ", window_kind_name(linear.window_kind));
    linear.window = settings_.window.value_or(kPublishedWindow);
    linear.affine = settings_.affine;
    if (!settings_.feature_map) note(fmt::format("nothing says the feature map: taken as {}", linear.feature_map));
    if (window && !(settings_.window_kind && settings_.window))
      note(fmt::format("the window is taken as {}, {} tokens; --window-kind and --window change it",
                       window_kind_name(linear.window_kind), linear.window));
  }

  void check_layer(int64_t l, const std::string& path) {
    const LinearConfig& linear = model_.linear;
    const bool kept = settings_.softmax_layers.contains(l);
    require(linear.layer(l) != kept || settings_.softmax_layers.empty(),
            "{}: layer {} {} feature maps, softmax_attentions says otherwise", path, l, kept ? "has" : "has no");
    const std::string query = block_name(l, "attn_fmap_q.weight"), key = block_name(l, "attn_fmap_k.weight");
    if (!linear.layer(l)) {
      require(!has(l, "attn_fmap_k.weight"), "{}: layer {} has a key map and no query map", path, l);
      return;
    }
    if (settings_.tied_maps) {
      model_.tensors.try_emplace(key, model_.tensors[query]);
      if (has(l, "attn_fmap_q.bias"))
        model_.tensors.try_emplace(block_name(l, "attn_fmap_k.bias"),
                                   model_.tensors[block_name(l, "attn_fmap_q.bias")]);
    }
    require(has(l, "attn_fmap_k.weight"), "{}: layer {} has a query map and no key map", path, l);
    require(has(l, "attn_fmap_q.bias") == has(l, "attn_fmap_k.bias"), "{}: layer {} has the bias of one map only", path,
            l);
    const int64_t first = first_layer();
    for (const std::string& name : {query, key})
      require(model_.tensors.at(name).shape[1] == linear.feature_dim,
              "{}: layer {} has maps of {} features, layer {} of {}", path, l, model_.tensors.at(name).shape[1], first,
              linear.feature_dim);
    for (const char* part : {"attn_fmap_q.bias", "attn_window_factor"})
      require(has(l, part) == has(first, part), "{}: layers {} and {} differ: only one has {}", path, l, first, part);
  }

  const ModelConfig& config_;
  LolcatsConfig settings_;
  PeftReader lora_;
  bool has_lora_ = false;
  LolcatsModel model_;
};

}  // namespace

std::vector<float> map_from_reference(const std::vector<float>& map, int64_t heads, int64_t d, int64_t f,
                                      bool interleaved) {
  std::vector<float> result(map.size());
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < d; ++i)
      for (int64_t c = 0; c < f; ++c)
        result[static_cast<size_t>((h * f + c) * d + i)] =
            map[static_cast<size_t>((h * d + (interleaved ? half_split_row(i, d) : i)) * f + c)];
  return result;
}

std::vector<float> map_to_reference(const std::vector<float>& map, int64_t heads, int64_t d, int64_t f,
                                    bool interleaved) {
  std::vector<float> result(map.size());
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < d; ++i)
      for (int64_t c = 0; c < f; ++c)
        result[static_cast<size_t>((h * d + (interleaved ? half_split_row(i, d) : i)) * f + c)] =
            map[static_cast<size_t>((h * f + c) * d + i)];
  return result;
}

LolcatsModel read_lolcats(const LolcatsOptions& options, const ModelConfig& config, const WeightSet& weights) {
  require(!options.checkpoints.empty(), "no LoLCATs checkpoint is named");
  return Reader(options, config).finish(options, weights);
}

}  // namespace margay
