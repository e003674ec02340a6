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

template <class T, class Out, class Convert>
std::vector<Out> convert_all(const TensorEntry& tensor, Convert convert) {
  const size_t count = tensor.bytes / sizeof(T);
  std::vector<Out> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<Out>(convert(load<T>(tensor.data, i)));
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

std::vector<float> to_float(const TensorEntry& tensor) {
  const auto same = [](auto value) { return value; };
  switch (tensor.dtype) {
    case DType::F32:
      return convert_all<float, float>(tensor, same);
    case DType::F64:
      return convert_all<double, float>(tensor, same);
    case DType::F16:
      return convert_all<uint16_t, float>(tensor, half_to_float);
    case DType::BF16:
      return convert_all<uint16_t, float>(tensor, bf16_to_float);
    default:
      fail("tensor {}: type {} is not F32, F16, BF16 or F64", tensor.name, type_name(tensor.dtype));
  }
}

std::vector<int64_t> to_int64(const TensorEntry& tensor) {
  const auto same = [](auto value) { return value; };
  switch (tensor.dtype) {
    case DType::I8:
      return convert_all<int8_t, int64_t>(tensor, same);
    case DType::I16:
      return convert_all<int16_t, int64_t>(tensor, same);
    case DType::I32:
      return convert_all<int32_t, int64_t>(tensor, same);
    case DType::I64:
      return convert_all<int64_t, int64_t>(tensor, same);
    default:
      fail("tensor {}: type {} is not I8, I16, I32 or I64", tensor.name, type_name(tensor.dtype));
  }
}

}  // namespace margay
