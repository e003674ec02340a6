// Training text: one long run of tokens, from which rows are cut.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "formats/tokenizer.h"

namespace margay {

// Where a trainer's rows come from. Rows have a fixed length; the same step always gives the same rows.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Fills `row` (its length is the row length) for sequence `index` of step `step`.
  virtual void fill(int64_t step, int64_t index, std::span<int32_t> row) const = 0;
};

// Rows cut at random positions of a text; the position depends on (seed, step, index) alone.
class RandomWindows : public RowSource {
 public:
  // Throws Error when the text is shorter than `row_length` tokens.
  RandomWindows(std::vector<int32_t> tokens, int64_t row_length, uint64_t seed);
  void fill(int64_t step, int64_t index, std::span<int32_t> row) const override;

 private:
  std::vector<int32_t> tokens_;
  uint64_t seed_;
};

// Consecutive rows of a text (validation): row step * rows_per_step + index.
class ConsecutiveRows : public RowSource {
 public:
  ConsecutiveRows(std::vector<int32_t> tokens, int64_t row_length, int64_t rows_per_step);
  int64_t rows() const { return static_cast<int64_t>(tokens_.size()) / row_length_; }
  void fill(int64_t step, int64_t index, std::span<int32_t> row) const override;

 private:
  std::vector<int32_t> tokens_;
  int64_t row_length_, rows_per_step_;
};

// A text file as tokens, without BOS, in pieces so that memory stays bounded by the result.
std::vector<int32_t> tokenize_file(const Tokenizer& tokenizer, const std::string& path);

}  // namespace margay
