// A tensor inside a mapped file: what GGUF and safetensors both hand out.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace margay {

struct TensorEntry {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;       // row-major: slowest dimension first (GGUF's ne reversed); empty for a scalar
  const std::byte* data = nullptr;  // inside the mapping: valid while the file object lives; may be unaligned
  uint64_t bytes = 0;

  int64_t elements() const;  // product of shape; the readers have checked that it does not overflow
};

// "[2, 3, 4]", for messages.
std::string shape_text(const std::vector<int64_t>& shape);

// Bytes of a tensor of this type and shape. Throws Error naming `where` when a dimension is negative, the product
// overflows, or the last dimension is not a multiple of the type's block length.
uint64_t tensor_bytes(DType dtype, const std::vector<int64_t>& shape, const std::string& where);

// `count` numbers of a float type (is_float()) at `data`, which may be unaligned, as float32.
void read_floats(DType dtype, const std::byte* data, size_t count, float* out);

// Elements as float32, row-major, of a tensor of a float type. Throws Error for other types.
std::vector<float> to_float(const TensorEntry& tensor);

// Elements of an I8, I16, I32 or I64 tensor. Throws Error for other types.
std::vector<int64_t> to_int64(const TensorEntry& tensor);

}  // namespace margay
