// Feature maps: one row a map. Gradients, backends and tests come with the ops that build() uses.
#pragma once
#include <string>
#include <vector>

#include "ops/ops.h"

namespace margay {

struct FeatureMapInfo {
  const char* name;  // in GGUF and on the command line
  FeatureKind activation;
  bool bias;           // one scalar a head (LoLCATs' T2R)
  bool identity_init;  // W starts as the rectangular identity, else U(-b, b) with b = sqrt(6 / (D F)), bias 0
  float epsilon;       // floor of every feature
  const char* origin;

  int64_t features(int64_t columns) const { return feature_count(activation, columns); }
  // phi(x) for x [B, T, HX, D], weight [H, F, D], bias [H] or none -> [B, T, H, features].
  Tensor build(Tensor x, Tensor weight, Tensor bias) const;
};

const std::vector<FeatureMapInfo>& feature_maps();
const FeatureMapInfo& feature_map_info(const std::string& name);  // throws Error listing the names

}  // namespace margay
