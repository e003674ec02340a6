// The types that a model can be written in, and which tensor of a model gets which.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace margay {

// llama.cpp's mixes of K types: how many tensors get more bits than the others.
enum class Mix : uint8_t { kPlain, kSmall, kMedium, kLarge };

// What a model can be written as: the type of most of its weights and a mix.
struct ModelType {
  // The usual mix of that type (medium). Throws Error for a type that margay does not write.
  ModelType(DType type);  // NOLINT: a type is a model's type
  constexpr ModelType(DType of, Mix how, const char* called, uint32_t number)
      : type(of), mix(how), name(called), file_type(number) {}

  DType type;
  Mix mix;
  const char* name;    // "Q4_K_M"
  uint32_t file_type;  // GGUF's general.file_type
};

// The model type of this name, in any case. Q3_K, Q4_K and Q5_K are short for their medium mixes, as in llama.cpp.
// Throws Error listing what there is.
ModelType target_type(const std::string& name);
// GGUF's general.file_type of a model of this type; none for types that margay does not write.
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

// What the mixes look at.
struct ModelFacts {
  bool tied = false;  // token_embd.weight is the output head too
  int64_t layers = 0;
  int64_t heads_per_kv = 1;
  bool importance = false;  // quantized with an importance matrix
};

struct TargetChoice {
  DType type;
  bool fallback = false;  // the wanted type's blocks do not fit the rows
  bool better = false;    // the output head, in more bits than the others
};

// What a tensor becomes in a model of type `wanted`. Weights of two and more dimensions get it; vectors, feature maps,
// window factors and RoPE factors stay F32, as they are small and the results hang on them. The output head
// (output.weight, or token_embd.weight where it is tied) of a quantized model becomes Q6_K where its rows fit, else
// Q8_0: the logits suffer most there. Mixes are llama.cpp's, which give attn_v, ffn_down and attn_output more bits in
// some layers. The last of the overrides that matches the name goes before all of that.
TargetChoice choose_type(std::string_view name, const std::vector<int64_t>& shape, const ModelType& wanted,
                         const ModelFacts& facts, const std::vector<TensorType>& overrides = {});

}  // namespace margay
