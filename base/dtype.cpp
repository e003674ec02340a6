#include "base/dtype.h"

#include <strings.h>

#include "base/error.h"

namespace margay {
namespace {

constexpr TypeInfo kTypes[] = {
    {DType::F32, "F32", 1, 4, false},         {DType::F16, "F16", 1, 2, false},
    {DType::Q4_0, "Q4_0", 32, 18, true},      {DType::Q4_1, "Q4_1", 32, 20, true},
    {DType::Q5_0, "Q5_0", 32, 22, true},      {DType::Q5_1, "Q5_1", 32, 24, true},
    {DType::Q8_0, "Q8_0", 32, 34, true},      {DType::Q2_K, "Q2_K", 256, 84, true},
    {DType::Q3_K, "Q3_K", 256, 110, true},    {DType::Q4_K, "Q4_K", 256, 144, true},
    {DType::Q5_K, "Q5_K", 256, 176, true},    {DType::Q6_K, "Q6_K", 256, 210, true},
    {DType::IQ4_NL, "IQ4_NL", 32, 18, true},  {DType::IQ4_XS, "IQ4_XS", 256, 136, true},
    {DType::I8, "I8", 1, 1, false},           {DType::I16, "I16", 1, 2, false},
    {DType::I32, "I32", 1, 4, false},         {DType::I64, "I64", 1, 8, false},
    {DType::F64, "F64", 1, 8, false},         {DType::BF16, "BF16", 1, 2, false},
    {DType::Q8_ACT, "Q8_ACT", 32, 44, true},  {DType::F8_E4M3, "F8_E4M3", 1, 1, false},
    {DType::F8_E5M2, "F8_E5M2", 1, 1, false},
};

}  // namespace

const TypeInfo* find_type(DType type) {
  for (const TypeInfo& row : kTypes)
    if (row.type == type) return &row;
  return nullptr;
}

const TypeInfo* find_type(const char* name) {
  for (const TypeInfo& row : kTypes)
    if (strcasecmp(row.name, name) == 0) return &row;
  return nullptr;
}

const TypeInfo& type_info(DType type) {
  const TypeInfo* row = find_type(type);
  if (!row) fail("unknown tensor type {}", static_cast<int>(type));
  return *row;
}

int64_t row_bytes(DType type, int64_t elements) {
  const TypeInfo& row = type_info(type);
  require(elements >= 0 && elements % row.block_length == 0, "a row of {} elements does not fit type {} (blocks of {})",
          elements, row.name, row.block_length);
  return elements / row.block_length * row.block_bytes;
}

const char* type_name(DType type) { return type_info(type).name; }

bool is_float(DType type) {
  switch (type) {
    case DType::F64:
    case DType::F32:
    case DType::F16:
    case DType::BF16:
    case DType::F8_E4M3:
    case DType::F8_E5M2:
      return true;
    default:
      return false;
  }
}

}  // namespace margay
