#include "ops/quant/convert.h"

#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "ops/backend.h"
#include "ops/quant/blocks.h"

namespace margay {
namespace {

template <class Block>
void dequantize_blocks(const void* row, float* out, int64_t n) {
  for (int64_t b = 0; b < n / 32; ++b) dequantize_block(static_cast<const Block*>(row)[b], out + 32 * b);
}

template <class Block>
void dequantize_levels_of(const void* row, float* out, int64_t n) {
  for (int64_t b = 0; b < n / Block::kLength; ++b)
    dequantize_levels(static_cast<const Block*>(row)[b], out + Block::kLength * b);
}

template <float (*convert)(uint16_t)>
void widen(const void* row, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = convert(static_cast<const uint16_t*>(row)[i]);
}

template <uint16_t (*convert)(float)>
void narrow(const float* row, void* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) static_cast<uint16_t*>(out)[i] = convert(row[i]);
}

void copy_out(const void* row, float* out, int64_t n) { std::memcpy(out, row, static_cast<size_t>(n) * 4); }
void copy_in(const float* row, void* out, int64_t n) { std::memcpy(out, row, static_cast<size_t>(n) * 4); }

struct Conversion {
  DType type;
  void (*dequantize)(const void* row, float* out, int64_t n);
  void (*narrow)(const float* row, void* out, int64_t n);  // of types without blocks
};

constexpr Conversion kConversions[] = {{DType::F32, copy_out, copy_in},
                                       {DType::F16, widen<half_to_float>, narrow<float_to_half>},
                                       {DType::BF16, widen<bf16_to_float>, narrow<float_to_bf16>},
                                       {DType::Q8_0, dequantize_blocks<BlockQ8_0>, nullptr},
                                       {DType::Q4_0, dequantize_blocks<BlockQ4_0>, nullptr},
#define MARGAY_ROW(type) {DType::type, dequantize_levels_of<Block##type>, nullptr},
                                       MARGAY_LEVEL_TYPES(MARGAY_ROW)
#undef MARGAY_ROW
};

const Conversion& conversion(DType type, int64_t n) {
  row_bytes(type, n);  // throws where n does not fit
  for (const Conversion& row : kConversions)
    if (row.type == type) return row;
  fail("tensors of type {} cannot be converted; floats and quantized types can", type_name(type));
}

}  // namespace

void dequantize_row(DType type, const void* row, float* out, int64_t n) { conversion(type, n).dequantize(row, out, n); }

void quantize_row(DType type, const float* row, void* out, int64_t n, const float* importance, Isa isa) {
  const Conversion& found = conversion(type, n);
  if (found.narrow) found.narrow(row, out, n);
  else cpu_quantizer(isa, type)(row, importance, out, n);
}

}  // namespace margay
