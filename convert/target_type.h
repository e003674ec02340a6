// The types that a model can be written in, and which tensor of a model gets which.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace margay {

// The type of most weights of a model that goes by this name, in any case: F32, F16, BF16, or a quantized type. Q3_K_M,
// Q4_K_M and Q5_K_M are mixes; Q3_K, Q4_K and Q5_K are short for them, as in llama.cpp. Throws Error listing them.
DType target_type(const std::string& name);
// GGUF's general.file_type of a model of this type; none for types that margay cannot write.
std::optional<uint32_t> gguf_file_type(DType type);
// The type itself where rows of `columns` fit its blocks, else llama.cpp's fallback: Q4_K to Q5_0, Q5_K to Q5_1, Q6_K to
// Q8_0, Q2_K, Q3_K and IQ4_XS to IQ4_NL, and F16 for rows that are no multiple of 32.
DType fitting_type(DType type, int64_t columns);
// N of "blk.N.", or -1.
int64_t layer_of(std::string_view name);

// --tensor-type PATTERN=TYPE: a glob on names of tensors, and what those become. Throws Error on another text.
struct TensorType {
  std::string pattern;
  DType type;
};
TensorType parse_tensor_type(const std::string& text);

struct TargetChoice {
  DType type;
  bool fallback = false;  // the wanted type's blocks do not fit the rows
  bool better = false;    // the output head, in more bits than the others
};

// What a tensor becomes in a model of type `wanted`. Weights of two and more dimensions get it; vectors, feature maps,
// window factors and RoPE factors stay F32, as they are small and the results hang on them. The output head
// (output.weight, or token_embd.weight where it is tied) of a quantized model becomes Q6_K where its rows fit, else
// Q8_0, and Q8_0 under Q4_0: the logits suffer most there. K types are llama.cpp's mixes, which give attn_v, ffn_down
// and attn_output more bits in some of the `layers`. The last of the overrides that matches the name goes before all of
// that.
TargetChoice choose_type(std::string_view name, const std::vector<int64_t>& shape, DType wanted, bool tied,
                         int64_t layers = 0, const std::vector<TensorType>& overrides = {});

}  // namespace margay
