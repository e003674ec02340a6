#include "models/weights.h"

namespace margay {

WeightSet::WeightSet(const GgufFile& file) : origin_(file.path()) {
  for (const TensorEntry& entry : file.tensors()) {
    WeightRef weight;
    weight.shape.rank = static_cast<int32_t>(entry.shape.size());
    for (size_t i = 0; i < entry.shape.size(); ++i) weight.shape.dim[i] = entry.shape[i];
    weight.dtype = entry.dtype;
    weight.data = entry.data;
    weights_[entry.name] = weight;
  }
}

const WeightRef* WeightSet::find(const std::string& name) const {
  const auto found = weights_.find(name);
  return found == weights_.end() ? nullptr : &found->second;
}

const WeightRef& WeightSet::get(const std::string& name, const Shape& expected) const {
  const WeightRef* weight = find(name);
  require(weight != nullptr, "{}: tensor {} is missing", origin_, name);
  bool fits = weight->shape.rank == expected.rank;
  for (int i = 0; fits && i < expected.rank; ++i) fits = expected.dim[i] < 0 || expected.dim[i] == weight->shape.dim[i];
  require(fits, "{}: tensor {} has shape {}, expected {}", origin_, name, to_string(weight->shape),
          to_string(expected));
  return *weight;
}

}  // namespace margay
