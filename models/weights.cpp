#include "models/weights.h"

#include "models/config.h"

namespace margay {
namespace {

WeightRef whole(const TensorEntry& entry) {
  WeightRef weight;
  weight.shape.rank = static_cast<int32_t>(entry.shape.size());
  for (size_t i = 0; i < entry.shape.size(); ++i) weight.shape.dim[i] = entry.shape[i];
  weight.dtype = entry.dtype;
  weight.data = entry.data;
  return weight;
}

// Rows of a matrix, or elements of a vector, under names of their own.
struct Part {
  const char* stem;
  int64_t rows;
};

// `fused` is blk.N.<stem>.<suffix>; false where it has other rows than the parts together.
bool split(const std::string& name, const WeightRef& fused, const std::string& stem, const std::vector<Part>& parts,
           std::vector<NamedWeight>& out) {
  int64_t rows = 0;
  for (const Part& part : parts) rows += part.rows;
  if (fused.shape.dim[0] != rows) return false;
  const bool vector = fused.shape.rank == 1;
  const auto row = static_cast<size_t>(row_bytes(fused.dtype, vector ? 1 : fused.shape.dim[1]));
  const size_t at = name.find(stem);
  const auto* data = static_cast<const std::byte*>(fused.data);
  for (const Part& part : parts) {
    WeightRef weight = fused;
    weight.shape.dim[0] = part.rows;
    weight.data = data;
    data += row * static_cast<size_t>(part.rows);
    out.emplace_back(std::string(name).replace(at, stem.size(), part.stem), weight);
  }
  return true;
}

}  // namespace

std::vector<NamedWeight> model_weights(const GgufFile& file, const ModelConfig& config) {
  const int64_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim, f = config.feed_forward;
  const std::vector<Part> qkv = {{"attn_q", q}, {"attn_k", kv}, {"attn_v", kv}},
                          gate_up = {{"ffn_gate", f}, {"ffn_up", f}};
  std::vector<NamedWeight> weights;
  for (const TensorEntry& entry : file.tensors()) {
    const WeightRef weight = whole(entry);
    const bool matrix = entry.shape.size() == 2, block = entry.name.starts_with("blk.");
    const bool vector = entry.shape.size() == 1 && !type_info(entry.dtype).quantized;
    const auto is = [&](const char* end) { return block && entry.name.ends_with(end); };
    if ((matrix && is(".attn_qkv.weight")) || (vector && is(".attn_qkv.bias"))) {
      require(split(entry.name, weight, "attn_qkv", qkv, weights), "{}: tensor {} has {} rows, expected {}",
              file.path(), entry.name, entry.shape[0], q + 2 * kv);
    } else if (!(matrix && is(".ffn_up.weight") && split(entry.name, weight, "ffn_up", gate_up, weights))) {
      weights.emplace_back(entry.name, weight);
    }
  }
  return weights;
}

WeightSet::WeightSet(const GgufFile& file, const ModelConfig& config) : origin_(file.path()) {
  for (const auto& [name, weight] : model_weights(file, config)) weights_[name] = weight;
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
