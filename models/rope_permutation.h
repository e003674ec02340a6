// The two orders of a head's elements under RoPE. Hugging Face rotates element i with element i + d/2 (half-split);
// GGUF's llama rotates 2i with 2i + 1 (interleaved). Whatever has a head's elements as rows or columns must move with
// them: rows of q and k projections and of their LoRA B, columns of feature maps.
#pragma once
#include <cstdint>

namespace margay {

// Where row `row` of the interleaved order stands in the half-split order. Rows are [heads * head_dim].
constexpr int64_t half_split_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim * head_dim, i = row % head_dim;
  return head + i / 2 + i % 2 * (head_dim / 2);
}

// The way back: where row `row` of the half-split order stands in the interleaved order.
constexpr int64_t interleaved_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim * head_dim, i = row % head_dim, half = head_dim / 2;
  return head + (i < half ? 2 * i : 2 * (i - half) + 1);
}

// half-split -> interleaved for a matrix [rows = heads * head_dim, columns], as a copy.
template <class T>
void interleave_rows(const T* in, T* out, int64_t rows, int64_t columns, int64_t head_dim) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) out[r * columns + c] = in[half_split_row(r, head_dim) * columns + c];
}

// The same for a matrix whose columns are one head's elements: [rows, head_dim].
template <class T>
void interleave_columns(const T* in, T* out, int64_t rows, int64_t head_dim) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < head_dim; ++c) out[r * head_dim + c] = in[r * head_dim + half_split_row(c, head_dim)];
}

}  // namespace margay
