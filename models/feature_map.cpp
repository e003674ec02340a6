#include "models/feature_map.h"

namespace margay {

const std::vector<FeatureMapInfo>& feature_maps() {
  static const std::vector<FeatureMapInfo> kMaps = {
      {"hedgehog", FeatureKind::kSoftmaxFull, false, true, 1e-12f, "Hedgehog, both signs: the paper's default"},
      {"hedgehog_half", FeatureKind::kSoftmaxHalf, false, true, 1e-12f, "Hedgehog, one sign"},
      {"exp", FeatureKind::kExpFull, false, true, 1e-12f, "exponential, both signs"},
      {"exp_half", FeatureKind::kExpHalf, false, true, 1e-12f, "exponential, one sign"},
      {"t2r", FeatureKind::kRelu, true, false, 1e-12f, "T2R: learned ReLU"},
      {"elu1", FeatureKind::kElu1, false, true, 1e-12f, "1 + ELU"},
  };
  return kMaps;
}

const FeatureMapInfo& feature_map_info(const std::string& name) {
  std::string names;
  for (const FeatureMapInfo& map : feature_maps()) {
    if (name == map.name) return map;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", map.name);
  }
  fail("unknown feature map '{}'; there are {}", name, names);
}

Tensor FeatureMapInfo::build(Tensor x, Tensor weight, Tensor bias) const {
  return feature_activation(head_linear(x, weight, bias), activation, epsilon);
}

}  // namespace margay
