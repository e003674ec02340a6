#include "convert/target_type.h"

#include <fnmatch.h>
#include <strings.h>

#include <cctype>
#include <cstdlib>

#include "base/error.h"

namespace margay {
namespace {

struct Row {
  DType type;
  uint32_t file_type;
  const char* mix;  // the name of the mix that a model of this type is; nullptr: that of the type
  DType fallback;   // for rows that are no multiple of 256
};
constexpr Row kTargets[] = {
    {DType::F32, 0, nullptr, DType::F32},        {DType::F16, 1, nullptr, DType::F16},
    {DType::BF16, 32, nullptr, DType::BF16},     {DType::Q8_0, 7, nullptr, DType::F16},
    {DType::Q4_0, 2, nullptr, DType::F16},       {DType::Q4_1, 3, nullptr, DType::F16},
    {DType::Q5_0, 8, nullptr, DType::F16},       {DType::Q5_1, 9, nullptr, DType::F16},
    {DType::Q2_K, 10, nullptr, DType::IQ4_NL},   {DType::Q3_K, 12, "Q3_K_M", DType::IQ4_NL},
    {DType::Q4_K, 15, "Q4_K_M", DType::Q5_0},    {DType::Q5_K, 17, "Q5_K_M", DType::Q5_1},
    {DType::Q6_K, 18, nullptr, DType::Q8_0},     {DType::IQ4_NL, 25, nullptr, DType::F16},
    {DType::IQ4_XS, 30, nullptr, DType::IQ4_NL},
};

bool contains(std::string_view name, std::string_view part) { return name.find(part) != std::string_view::npos; }

bool always_float(std::string_view name) {
  for (const std::string_view part : {".attn_fmap_", ".attn_window_factor", "rope_freqs.", "rope_factors_"})
    if (contains(name, part)) return true;
  return false;
}

// The layers that llama.cpp's mixes give more bits: the first and last eighth, and every third between.
bool more_bits(int64_t layer, int64_t layers) {
  return layer >= 0 && (layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2);
}

// The type that a weight has in llama.cpp's mix of this name.
DType type_in_mix(std::string_view name, DType wanted, int64_t layers) {
  const int64_t layer = layer_of(name);
  const bool more = more_bits(layer, layers), early = layer >= 0 && layer < layers / 8;
  const bool value = contains(name, ".attn_v."), down = contains(name, ".ffn_down."),
             out = contains(name, ".attn_output.");
  switch (wanted) {
    case DType::Q2_K:
      return value ? DType::Q4_K : down || out ? DType::Q3_K : wanted;
    case DType::Q3_K:
      if (value) return layer < 2 ? DType::Q5_K : DType::Q4_K;
      if (down) return layer < layers / 16 ? DType::Q5_K : more ? DType::Q4_K : wanted;
      return out ? DType::Q4_K : wanted;
    case DType::Q4_K:
    case DType::Q5_K:
      return (value || down) && more ? DType::Q6_K : wanted;
    case DType::IQ4_NL:
    case DType::IQ4_XS:
      return value || (down && early) ? DType::Q5_K : wanted;
    default:
      return wanted;
  }
}

}  // namespace

DType target_type(const std::string& name) {
  const TypeInfo* found = find_type(name.c_str());
  std::string names;
  for (const Row& row : kTargets) {
    if ((found && found->type == row.type) || (row.mix && strcasecmp(row.mix, name.c_str()) == 0)) return row.type;
    names += (names.empty() ? "" : ", ") + std::string(row.mix ? row.mix : type_name(row.type));
  }
  fail("type '{}' {}; there are {}", name, found ? "cannot be written" : "is not known", names);
}

std::optional<uint32_t> gguf_file_type(DType type) {
  for (const Row& row : kTargets)
    if (row.type == type) return row.file_type;
  return std::nullopt;
}

DType fitting_type(DType type, int64_t columns) {
  if (columns % type_info(type).block_length == 0) return type;
  DType next = DType::F16;
  for (const Row& row : kTargets)
    if (row.type == type) next = row.fallback;
  return columns % type_info(next).block_length == 0 ? next : DType::F16;
}

int64_t layer_of(std::string_view name) {
  if (name.substr(0, 4) != "blk." || name.size() < 5 || !isdigit(static_cast<unsigned char>(name[4]))) return -1;
  return std::strtoll(std::string(name.substr(4, 9)).c_str(), nullptr, 10);
}

TensorType parse_tensor_type(const std::string& text) {
  const size_t at = text.rfind('=');
  require(at != std::string::npos && at > 0, "'{}' is not PATTERN=TYPE, as in '*.ffn_down.weight=q6_k'", text);
  return {text.substr(0, at), target_type(text.substr(at + 1))};
}

TargetChoice choose_type(std::string_view name, const std::vector<int64_t>& shape, DType wanted, bool tied,
                         int64_t layers, const std::vector<TensorType>& overrides) {
  if (shape.size() < 2 || always_float(name)) return {DType::F32};
  TargetChoice choice{type_in_mix(name, wanted, layers)};
  if (type_info(wanted).quantized && wanted != DType::Q8_0 && name == (tied ? "token_embd.weight" : "output.weight")) {
    const bool fits = shape.back() % 256 == 0 && wanted != DType::Q4_0;  // Q8_0 has the faster head beside Q4_0
    choice = {fits ? DType::Q6_K : DType::Q8_0, false, wanted != DType::Q6_K};
  }
  for (const TensorType& row : overrides)
    if (fnmatch(row.pattern.c_str(), std::string(name).c_str(), 0) == 0) choice = {row.type};
  const DType fitting = fitting_type(choice.type, shape.back());
  if (fitting != choice.type) choice = {fitting, true, false};
  return choice;
}

}  // namespace margay
