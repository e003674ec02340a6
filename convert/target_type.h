// The types that a model can be written in, and which tensor of a model gets which.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace margay {

// F32, F16, BF16, Q8_0 or Q4_0, in any case. Throws Error listing them.
DType target_type(const std::string& name);
// GGUF's general.file_type of a model whose weights are mostly of this type; none for types that margay cannot write.
std::optional<uint32_t> gguf_file_type(DType type);

struct TargetChoice {
  DType type;
  bool fallback = false;  // the wanted type's blocks do not fit the rows: F16 instead
  bool better = false;    // output head under Q4_0: Q8_0 instead
};

// What a tensor becomes in a model of type `wanted`. Weights of two and more dimensions get it; vectors, feature maps,
// window factors and RoPE factors stay F32, as they are small and the results hang on them. Q4_0 leaves the output head
// (output.weight, or token_embd.weight where it is tied) in Q8_0: the logits suffer most there.
TargetChoice choose_type(std::string_view name, const std::vector<int64_t>& shape, DType wanted, bool tied);

}  // namespace margay
