// The settings of a LoLCATs run, from its YAML files and from the names of its files.
#pragma once
#include <set>

#include "convert/lolcats.h"

namespace margay {

struct LolcatsConfig {
  std::optional<std::string> feature_map;  // margay's name; without the bias, which the checkpoint shows
  std::optional<WindowKind> window_kind;
  std::optional<int64_t> window;
  std::optional<double> lora_alpha;
  bool affine = false;
  bool tied_maps = false;  // the key map is the query map, and stored once
  std::set<int64_t> softmax_layers;
};

// Throws Error naming the file and the field that margay does not have.
LolcatsConfig read_lolcats_config(const LolcatsOptions& options);

}  // namespace margay
