// SentencePiece's precompiled normalization: a table of what becomes of which characters.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace margay {

// A double-array trie (Darts) from texts to offsets of NUL-terminated replacements.
class Charsmap {
 public:
  // Of the bytes that SentencePiece calls precompiled_charsmap. Throws Error naming `where` when they are cut.
  Charsmap(std::string_view blob, const std::string& where);

  // Replaces, from left to right, the longest text that the table has; other characters stay. `text` is valid UTF-8.
  // Throws Error when it becomes longer than `limit` bytes.
  std::string apply(std::string_view text, size_t limit) const;

  const std::string& blob() const { return blob_; }

 private:
  struct Match {
    size_t length = 0;  // bytes of the text; 0: none
    uint32_t offset = 0;
  };
  Match longest_match(std::string_view text) const;
  uint32_t unit(uint64_t index) const { return index < units_.size() ? units_[index] : 0; }

  std::string blob_;
  std::vector<uint32_t> units_;
  std::string_view replacements_;  // in blob_
};

}  // namespace margay
