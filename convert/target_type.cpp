#include "convert/target_type.h"

#include "base/error.h"

namespace margay {
namespace {

struct Row {
  DType type;
  uint32_t file_type;
};
constexpr Row kTargets[] = {
    {DType::F32, 0}, {DType::F16, 1}, {DType::BF16, 32}, {DType::Q8_0, 7}, {DType::Q4_0, 2},
};

bool always_float(std::string_view name) {
  for (const std::string_view part : {".attn_fmap_", ".attn_window_factor", "rope_freqs.", "rope_factors_"})
    if (name.find(part) != std::string_view::npos) return true;
  return false;
}

}  // namespace

DType target_type(const std::string& name) {
  const TypeInfo* found = find_type(name.c_str());
  std::string names;
  for (const Row& row : kTargets) {
    if (found && found->type == row.type) return row.type;
    names += (names.empty() ? "" : ", ") + std::string(type_name(row.type));
  }
  fail("type '{}' {}; there are {}", name, found ? "cannot be written yet" : "is not known", names);
}

std::optional<uint32_t> gguf_file_type(DType type) {
  for (const Row& row : kTargets)
    if (row.type == type) return row.file_type;
  return std::nullopt;
}

TargetChoice choose_type(std::string_view name, const std::vector<int64_t>& shape, DType wanted, bool tied) {
  if (shape.size() < 2 || always_float(name)) return {DType::F32};
  TargetChoice choice{wanted};
  if (wanted == DType::Q4_0 && name == (tied ? "token_embd.weight" : "output.weight"))
    choice = {DType::Q8_0, false, true};
  if (shape.back() % type_info(choice.type).block_length != 0) choice = {DType::F16, true, false};
  return choice;
}

}  // namespace margay
