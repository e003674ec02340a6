#include "train/transfer.h"

#include <algorithm>
#include <cmath>

#include "models/rope_permutation.h"

namespace margay {
namespace {

constexpr float kLossFactor = 1000;           // the paper's mse_factor
constexpr float kWindowLogit = -2.19722457f;  // logit of 0.1

void initialise_map(const Parameter& map, const FeatureMapInfo& info, bool permuted, Random& random) {
  const int64_t heads = map.shape.dim[0], columns = map.shape.dim[1], dim = map.shape.dim[2];
  float* w = map.values();
  if (!info.identity_init) {
    const float bound = std::sqrt(6.f / static_cast<float>(dim * columns));
    for (int64_t i = 0; i < map.count(); ++i) w[i] = bound * (2 * static_cast<float>(random.uniform()) - 1);
    return;
  }
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t f = 0; f < columns && f < dim; ++f)
      w[(h * columns + f) * dim + (permuted ? interleaved_row(f, dim) : f)] = 1;
}

}  // namespace

void add_transfer_parameters(ParameterSet& parameters, const ModelConfig& config, const LinearConfig& linear,
                             uint64_t seed) {
  const FeatureMapInfo& info = feature_map_info(linear.feature_map);
  const bool permuted = architecture_info(config.architecture).permuted_rope;
  Random random(seed);
  for (int64_t l = 0; l < config.layers; ++l) {
    if (!linear.layer(l)) continue;
    const auto add_map = [&](const char* which, int64_t heads) -> Parameter& {
      if (info.bias)
        parameters.add(block_name(l, fmt::format("attn_fmap_{}.bias", which).c_str()), make_shape({heads}));
      const Shape shape = make_shape({heads, linear.feature_dim, config.head_dim});
      return parameters.add(block_name(l, fmt::format("attn_fmap_{}.weight", which).c_str()), shape);
    };
    const Parameter& q = add_map("q", config.heads);
    initialise_map(q, info, permuted, random);
    // The k map starts as a copy of the q map (of the group's first head where it is shared): alike vectors then have
    // alike features, which random maps of their own would have to learn first.
    const Parameter& k = add_map("k", linear.key_map_heads);
    const int64_t map = linear.feature_dim * config.head_dim, group = config.heads / linear.key_map_heads;
    for (int64_t h = 0; h < linear.key_map_heads; ++h)
      std::copy_n(q.values() + h * group * map, map, k.values() + h * map);
    if (linear.window_kind == WindowKind::kNone) continue;
    Parameter& factor = parameters.add(block_name(l, "attn_window_factor"), make_shape({config.heads}));
    for (int64_t h = 0; h < config.heads; ++h) factor.values()[h] = kWindowLogit;
  }
}

RecordModel transfer_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                           bool float_products) {
  return [&config, &linear, &weights, float_products](int64_t sequences, int64_t tokens) {
    BuildOptions options;
    options.sequences = sequences;
    options.tokens = tokens;
    options.attention = AttentionMode::kTransfer;
    options.logits = LogitRows::kNone;
    options.float_products = float_products;
    for (int64_t l = 0; l < config.layers; ++l)  // nothing above the last linearized layer has a say
      if (linear.layer(l)) options.last_layer = l;
    return build_model(config, linear, weights, options);
  };
}

Objective transfer_objective(BuiltModel& model) {
  Objective objective;
  Tensor sum;
  for (const auto& [student, teacher] : model.transfer) {
    objective.parts.push_back(mean_squared_error(student, teacher));
    sum = sum ? add(sum, objective.parts.back()) : objective.parts.back();
  }
  require(static_cast<bool>(sum), "attention transfer: the model has no linearized layer");
  objective.loss = affine(sum, kLossFactor / static_cast<float>(model.transfer.size()), 0);
  return objective;
}

}  // namespace margay
