#include "models/lora.h"

#include <charconv>
#include <cmath>

#include "base/file.h"

namespace margay {
const std::vector<LoraTarget>& lora_target_table() {
  static const std::vector<LoraTarget> kTargets = {
      {"self_attn.q_proj", "attn_q", true},
      {"self_attn.k_proj", "attn_k", true},
      {"self_attn.v_proj", "attn_v", false},
      {"self_attn.o_proj", "attn_output", false},
      {"self_attn.dense", "attn_output", false},
      {"mlp.gate_proj", "ffn_gate", false},
      {"mlp.up_proj", "ffn_up", false},
      {"mlp.down_proj", "ffn_down", false},
      {"mlp.fc1", "ffn_up", false},
      {"mlp.fc2", "ffn_down", false},
  };
  return kTargets;
}

bool has_interleaved_rows(const ModelConfig& config, std::string_view weight) {
  if (!architecture_info(config.architecture).permuted_rope) return false;
  return weight.ends_with(".attn_q.weight") || weight.ends_with(".attn_k.weight");
}

bool parse_layer_tensor(std::string_view name, LayerTensorName& result) {
  constexpr std::string_view kMark = "layers.";
  const size_t at = name.rfind(kMark);
  if (at == std::string_view::npos || (at > 0 && name[at - 1] != '.')) return false;
  const std::string_view rest = name.substr(at + kMark.size());
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), result.layer);
  const auto digits = static_cast<size_t>(end - rest.data());
  if (error != std::errc() || result.layer < 0 || digits >= rest.size() || rest[digits] != '.') return false;
  result.rest = rest.substr(digits + 1);
  return true;
}

LoraFile parse_lora_file(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || file_exists(text)) return {text};
  LoraFile file{text.substr(0, equals)};
  const char *begin = text.data() + equals + 1, *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(begin, end, file.scale);
  require(error == std::errc() && stop == end && std::isfinite(file.scale),
          "'{}': '{}' is no number; write FILE or FILE=SCALE", text, begin);
  return file;
}

void check_lora(const LoraAdapter& adapter, const WeightSet& weights) {
  for (const auto& [name, pair] : adapter.pairs) {
    const WeightRef* weight = weights.find(name);
    require(weight != nullptr && name.starts_with("blk."), "{}: LoRA on {}, which is no projection of this model",
            adapter.path, name);
    const Shape& shape = weight->shape;
    require(shape.rank == 2 && shape.dim[0] == pair.out && shape.dim[1] == pair.in,
            "{}: LoRA on {} is for a weight of [{}, {}], this model's is {}", adapter.path, name, pair.out, pair.in,
            to_string(shape));
  }
}

void LoraWeights::add(const LoraAdapter& adapter, float scale) {
  for (const auto& [name, pair] : adapter.pairs) {
    LoraPair& sum = pairs_[name];
    const auto old = static_cast<size_t>(sum.rank), fresh = static_cast<size_t>(pair.rank);
    sum.a.insert(sum.a.end(), pair.a.begin(), pair.a.end());
    std::vector<float> b;
    b.reserve(sum.b.size() + pair.b.size());
    for (size_t row = 0; row < static_cast<size_t>(pair.out); ++row) {
      b.insert(b.end(), sum.b.begin() + static_cast<std::ptrdiff_t>(row * old),
               sum.b.begin() + static_cast<std::ptrdiff_t>((row + 1) * old));
      for (size_t i = 0; i < fresh; ++i) b.push_back(scale * pair.scale * pair.b[row * fresh + i]);
    }
    sum.b = std::move(b);
    sum.rank += pair.rank, sum.in = pair.in, sum.out = pair.out, sum.scale = 1;
  }
}

void LoraWeights::put_into(WeightSet& weights) const {
  for (const auto& [name, pair] : pairs_) {
    weights.set(name + ".lora_a", {make_shape({pair.rank, pair.in}), DType::F32, pair.a.data()});
    weights.set(name + ".lora_b", {make_shape({pair.out, pair.rank}), DType::F32, pair.b.data()});
  }
}

}  // namespace margay
