// The type table: every element type a tensor may have, with its GGUF id, block length and bytes.
// Includes C headers only: kernels see this file.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace margay {

// Values are GGUF's ids (ggml_type), so a file's number casts directly after type_info() accepted it.
enum class DType : int32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  IQ4_NL = 20,
  IQ4_XS = 23,
  I8 = 24,
  I16 = 25,
  I32 = 26,
  I64 = 27,
  F64 = 28,
  BF16 = 30,
  // Internal, never in a file: activations quantized for the int8 kernels. Rows of 32-element blocks
  // {int8 q[32], float scale, int32 sum of q}; the layout belongs to ops/quant/activation.h.
  Q8_ACT = 1000,
  // Floats of 8 bits as safetensors and PyTorch name them; GGUF has no number for them.
  F8_E4M3 = 1001,
  F8_E5M2 = 1002,
};

struct TypeInfo {
  DType type;
  const char* name;      // as GGUF tools print it: "F32", "Q4_0", "Q4_K"
  int32_t block_length;  // elements a block holds; 1 for plain types
  int32_t block_bytes;
  bool quantized;
};

// Row of the table, or nullptr for a type that margay does not know.
const TypeInfo* find_type(DType type);
const TypeInfo* find_type(const char* name);  // any case
const TypeInfo& type_info(DType type);        // throws Error when unknown
// Bytes of a row of `elements`; throws Error when they are not a multiple of the block length.
int64_t row_bytes(DType type, int64_t elements);
const char* type_name(DType type);
// F64, F32, F16, BF16 and the floats of 8 bits: an element is a number of its own, no block.
bool is_float(DType type);

}  // namespace margay
