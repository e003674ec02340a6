#include "formats/tensor_entry.h"

#include <fmt/ranges.h>

#include <cstring>

#include "base/error.h"
#include "base/half.h"

namespace margay {
namespace {

// Reads element i of an array that may be unaligned.
template <class T>
T load(const std::byte* data, size_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
std::vector<int64_t> integers(const TensorEntry& tensor) {
  std::vector<int64_t> values(tensor.bytes / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) values[i] = load<T>(tensor.data, i);
  return values;
}

}  // namespace

int64_t TensorEntry::elements() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

uint64_t tensor_bytes(DType dtype, const std::vector<int64_t>& shape, const std::string& where) {
  const TypeInfo& type = type_info(dtype);
  int64_t count = 1;
  for (const int64_t dimension : shape) {
    require(dimension >= 0 && !__builtin_mul_overflow(count, dimension, &count),
            "{}: shape {} is negative or too large", where, shape_text(shape));
  }
  const int64_t row = shape.empty() ? 1 : shape.back();
  require(row % type.block_length == 0, "{}: rows of {} elements do not fit type {} (blocks of {})", where, row,
          type.name, type.block_length);
  int64_t bytes = 0;
  require(!__builtin_mul_overflow(count / type.block_length, int64_t{type.block_bytes}, &bytes),
          "{}: shape {} of type {} is too large", where, shape_text(shape), type.name);
  return static_cast<uint64_t>(bytes);
}

void read_floats(DType dtype, const std::byte* data, size_t count, float* out) {
  const auto read = [&]<class T>(T, auto convert) {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(convert(load<T>(data, i)));
  };
  const auto same = [](auto value) { return value; };
  switch (dtype) {
    case DType::F32:
      return read(float{}, same);
    case DType::F64:
      return read(double{}, same);
    case DType::F16:
      return read(uint16_t{}, half_to_float);
    case DType::BF16:
      return read(uint16_t{}, bf16_to_float);
    case DType::F8_E4M3:
      return read(uint8_t{}, f8_e4m3_to_float);
    case DType::F8_E5M2:
      return read(uint8_t{}, f8_e5m2_to_float);
    default:
      fail("type {} is no float type", type_name(dtype));
  }
}

std::vector<float> to_float(const TensorEntry& tensor) {
  require(is_float(tensor.dtype), "tensor {}: type {} is no float type", tensor.name, type_name(tensor.dtype));
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  read_floats(tensor.dtype, tensor.data, values.size(), values.data());
  return values;
}

std::vector<int64_t> to_int64(const TensorEntry& tensor) {
  switch (tensor.dtype) {
    case DType::I8:
      return integers<int8_t>(tensor);
    case DType::I16:
      return integers<int16_t>(tensor);
    case DType::I32:
      return integers<int32_t>(tensor);
    case DType::I64:
      return integers<int64_t>(tensor);
    default:
      fail("tensor {}: type {} is not I8, I16, I32 or I64", tensor.name, type_name(tensor.dtype));
  }
}

}  // namespace margay
