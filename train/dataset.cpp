#include "train/dataset.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"

namespace margay {
namespace {

// The last place up to `end` where a line with text begins: no pre-tokenizer joins what is before and after it. Without
// such a place, the next whole character.
size_t cut_before_line(std::string_view text, size_t begin, size_t end) {
  for (size_t i = end; i > begin + 1; --i)
    if (text[i - 1] == '\n' && text[i] > ' ') return i;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
  return end;
}

}  // namespace

RandomWindows::RandomWindows(std::vector<int32_t> tokens, int64_t row_length, uint64_t seed)
    : tokens_(std::move(tokens)), seed_(seed) {
  require(static_cast<int64_t>(tokens_.size()) > row_length,
          "the training text has {} tokens, one row takes {}: give more text", tokens_.size(), row_length);
}

void RandomWindows::fill(int64_t step, int64_t index, std::span<int32_t> row) const {
  Random random(seed_ * 0x9e3779b97f4a7c15ull + static_cast<uint64_t>(step) * 1000003ull +
                static_cast<uint64_t>(index));
  const size_t start = random.below(tokens_.size() - row.size());
  std::copy_n(tokens_.begin() + static_cast<int64_t>(start), row.size(), row.begin());
}

ConsecutiveRows::ConsecutiveRows(std::vector<int32_t> tokens, int64_t row_length, int64_t rows_per_step)
    : tokens_(std::move(tokens)), row_length_(row_length), rows_per_step_(rows_per_step) {
  require(rows() >= 1, "the validation text has {} tokens, one row takes {}: give more text", tokens_.size(),
          row_length);
}

void ConsecutiveRows::fill(int64_t step, int64_t index, std::span<int32_t> row) const {
  const int64_t start = (step * rows_per_step_ + index) % rows() * row_length_;
  std::copy_n(tokens_.begin() + start, row.size(), row.begin());
}

std::vector<int32_t> tokenize_file(const Tokenizer& tokenizer, const std::string& path) {
  constexpr size_t kPiece = 1 << 18;  // bytes
  const MappedFile file(path);
  const std::string_view text = file.text();
  std::vector<int32_t> tokens;
  Progress progress(fmt::format("tokenizing {}", path), static_cast<int64_t>(text.size()), "B");
  for (size_t begin = 0; begin < text.size();) {
    throw_if_interrupted();
    size_t end = std::min(begin + kPiece, text.size());
    if (end < text.size()) end = cut_before_line(text, begin, end);
    const std::vector<int32_t> piece = tokenizer.encode(text.substr(begin, end - begin), false, false);
    tokens.insert(tokens.end(), piece.begin(), piece.end());
    progress.advance(static_cast<int64_t>(end - begin));
    begin = end;
  }
  progress.finish();
  return tokens;
}

}  // namespace margay
