#include "convert/target_type.h"

#include <fnmatch.h>
#include <strings.h>

#include <cctype>
#include <cstdlib>

#include "base/error.h"

namespace margay {
namespace {

// Of the mixes of one type the usual one stands first.
constexpr ModelType kModelTypes[] = {
    {DType::F32, Mix::kPlain, "F32", 0},        {DType::F16, Mix::kPlain, "F16", 1},
    {DType::BF16, Mix::kPlain, "BF16", 32},     {DType::Q8_0, Mix::kPlain, "Q8_0", 7},
    {DType::Q4_0, Mix::kPlain, "Q4_0", 2},      {DType::Q4_1, Mix::kPlain, "Q4_1", 3},
    {DType::Q5_0, Mix::kPlain, "Q5_0", 8},      {DType::Q5_1, Mix::kPlain, "Q5_1", 9},
    {DType::Q2_K, Mix::kPlain, "Q2_K", 10},     {DType::Q3_K, Mix::kMedium, "Q3_K_M", 12},
    {DType::Q3_K, Mix::kSmall, "Q3_K_S", 11},   {DType::Q3_K, Mix::kLarge, "Q3_K_L", 13},
    {DType::Q4_K, Mix::kMedium, "Q4_K_M", 15},  {DType::Q4_K, Mix::kSmall, "Q4_K_S", 14},
    {DType::Q5_K, Mix::kMedium, "Q5_K_M", 17},  {DType::Q5_K, Mix::kSmall, "Q5_K_S", 16},
    {DType::Q6_K, Mix::kPlain, "Q6_K", 18},     {DType::IQ4_NL, Mix::kPlain, "IQ4_NL", 25},
    {DType::IQ4_XS, Mix::kPlain, "IQ4_XS", 30},
};

const ModelType* find_usual(DType type) {
  for (const ModelType& row : kModelTypes)
    if (row.type == type) return &row;
  return nullptr;
}

const ModelType& usual(DType type) {
  const ModelType* row = find_usual(type);
  require(row != nullptr, "models of type {} cannot be written yet", type_name(type));
  return *row;
}

bool contains(std::string_view name, std::string_view part) { return name.find(part) != std::string_view::npos; }

bool always_float(std::string_view name) {
  for (const std::string_view part : {".attn_fmap_", ".attn_window_factor", "rope_freqs.", "rope_factors_"})
    if (contains(name, part)) return true;
  return false;
}

// The layers that the medium mixes give more bits: the first and last eighth, and every third between.
bool more_bits(int64_t layer, int64_t layers) {
  return layer >= 0 && (layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2);
}

DType value_type(const ModelType& wanted, int64_t layer, const ModelFacts& facts) {
  const bool shared = facts.heads_per_kv >= 4;  // a small matrix that many heads use
  switch (wanted.type) {
    case DType::Q2_K:
      return shared ? DType::Q4_K : DType::Q3_K;
    case DType::Q3_K:
      if (wanted.mix == Mix::kSmall) return DType::Q3_K;
      return wanted.mix == Mix::kLarge || layer < 2 ? DType::Q5_K : DType::Q4_K;
    case DType::Q4_K:
      if (wanted.mix == Mix::kSmall) return layer < 4 ? DType::Q5_K : DType::Q4_K;
      return more_bits(layer, facts.layers) ? DType::Q6_K : DType::Q4_K;
    case DType::Q5_K:
      return wanted.mix == Mix::kMedium && more_bits(layer, facts.layers) ? DType::Q6_K : DType::Q5_K;
    case DType::IQ4_NL:
    case DType::IQ4_XS:
      return shared ? DType::Q5_K : wanted.type;
    default:
      return wanted.type;
  }
}

DType down_type(const ModelType& wanted, int64_t layer, const ModelFacts& facts) {
  const bool early = layer < facts.layers / 8;
  switch (wanted.type) {
    case DType::Q2_K:
      return DType::Q3_K;
    case DType::Q3_K:
      if (wanted.mix == Mix::kSmall) return DType::Q3_K;
      return wanted.mix == Mix::kLarge || layer < facts.layers / 16 ? DType::Q5_K : DType::Q4_K;
    case DType::Q4_K:
      if (wanted.mix == Mix::kSmall) return early ? DType::Q5_K : DType::Q4_K;
      return more_bits(layer, facts.layers) ? DType::Q6_K : DType::Q4_K;
    case DType::Q5_K:
      return wanted.mix == Mix::kMedium && more_bits(layer, facts.layers) ? DType::Q6_K : DType::Q5_K;
    case DType::IQ4_NL:
    case DType::IQ4_XS:
      return early && !facts.importance ? DType::Q5_K : wanted.type;
    case DType::Q4_0:
      return early && facts.importance ? DType::Q4_1 : DType::Q4_0;
    case DType::Q5_0:
      return early && facts.importance ? DType::Q5_1 : DType::Q5_0;
    default:
      return wanted.type;
  }
}

DType attention_output_type(const ModelType& wanted) {
  if (wanted.type == DType::Q2_K) return DType::Q3_K;
  if (wanted.type != DType::Q3_K || wanted.mix == Mix::kSmall) return wanted.type;
  return wanted.mix == Mix::kLarge ? DType::Q5_K : DType::Q4_K;
}

// The type that a weight has in llama.cpp's mix of this name.
DType type_in_mix(std::string_view name, const ModelType& wanted, const ModelFacts& facts) {
  const int64_t layer = layer_of(name);
  if (contains(name, ".attn_v.") || contains(name, ".attn_qkv.")) {
    const DType type = value_type(wanted, layer, facts);
    const bool is_70b = facts.layers == 80 && facts.heads_per_kv > 1;  // whose attn_v are an eighth of attn_q
    return is_70b && (type == DType::Q3_K || type == DType::Q4_K) ? DType::Q5_K : type;
  }
  if (contains(name, ".ffn_down.")) return down_type(wanted, layer, facts);
  if (contains(name, ".attn_output.")) return attention_output_type(wanted);
  return wanted.type;
}

}  // namespace

ModelType::ModelType(DType of) : ModelType(usual(of)) {}

ModelType target_type(const std::string& name) {
  const TypeInfo* found = find_type(name.c_str());
  std::string names;
  for (const ModelType& row : kModelTypes) {
    if ((found && found->type == row.type) || strcasecmp(row.name, name.c_str()) == 0) return row;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  fail("type '{}' {}; there are {}", name, found ? "cannot be written" : "is not known", names);
}

std::optional<uint32_t> gguf_file_type(DType type) {
  const ModelType* row = find_usual(type);
  return row ? std::optional(row->file_type) : std::nullopt;
}

DType fitting_type(DType type, int64_t columns) {
  const auto fits = [columns](DType of) { return columns % type_info(of).block_length == 0; };
  if (fits(type)) return type;
  DType next = DType::F16;
  if (type == DType::Q4_K) next = DType::Q5_0;
  if (type == DType::Q5_K) next = DType::Q5_1;
  if (type == DType::Q6_K) next = DType::Q8_0;
  if (type == DType::Q2_K || type == DType::Q3_K || type == DType::IQ4_XS) next = DType::IQ4_NL;
  return fits(next) ? next : DType::F16;
}

int64_t layer_of(std::string_view name) {
  if (name.substr(0, 4) != "blk." || name.size() < 5 || !isdigit(static_cast<unsigned char>(name[4]))) return -1;
  return std::strtoll(std::string(name.substr(4, 9)).c_str(), nullptr, 10);
}

TensorType parse_tensor_type(const std::string& text) {
  const size_t at = text.rfind('=');
  require(at != std::string::npos && at > 0, "'{}' is not PATTERN=TYPE, as in '*.ffn_down.weight=q6_k'", text);
  return {text.substr(0, at), target_type(text.substr(at + 1)).type};
}

TargetChoice choose_type(std::string_view name, const std::vector<int64_t>& shape, const ModelType& wanted,
                         const ModelFacts& facts, const std::vector<TensorType>& overrides) {
  if (shape.size() < 2 || always_float(name)) return {DType::F32};
  TargetChoice choice{type_in_mix(name, wanted, facts)};
  const bool lossy = type_info(wanted.type).quantized && wanted.type != DType::Q8_0;
  if (lossy && name == (facts.tied ? "token_embd.weight" : "output.weight"))
    choice = {fitting_type(DType::Q6_K, shape.back()), false, wanted.type != DType::Q6_K};
  for (const TensorType& row : overrides)
    if (fnmatch(row.pattern.c_str(), std::string(name).c_str(), 0) == 0) choice = {row.type};
  const DType fitting = fitting_type(choice.type, shape.back());
  if (fitting != choice.type) choice = {fitting, true, false};
  return choice;
}

}  // namespace margay
