// Texts to ids. A flat table, because a vocabulary of 128 k tokens is read at every start of the program.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace margay {

// Open addressing, at most half full, over texts that lie one after the other. Entries are numbered as they come.
class TokenTable {
 public:
  struct Entry {
    uint64_t offset;
    uint32_t length;
    int32_t id;
  };

  void reserve(size_t texts);
  // False, with nothing changed, when the text is there already. Texts are shorter than 4 GiB.
  bool add(std::string_view text, int32_t id);
  int64_t find(std::string_view text) const;  // the number of its entry; -1: none

  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  int32_t id(int64_t entry) const { return entries_[static_cast<size_t>(entry)].id; }
  std::string_view text(int64_t entry) const {
    const Entry& found = entries_[static_cast<size_t>(entry)];
    return std::string_view(bytes_).substr(found.offset, found.length);
  }

 private:
  struct Slot {
    uint32_t hash = 0;  // most texts that differ are told apart without a look at them
    int32_t entry = -1;
  };
  static uint64_t hash(std::string_view text) { return std::hash<std::string_view>{}(text); }
  size_t place(std::string_view text, uint64_t hash) const;  // of its slot, or of the free one for it
  void grow(size_t slots);

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
};

}  // namespace margay
