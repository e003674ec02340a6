// The merging of byte pair encoding, for every kind of vocabulary.
#pragma once
#include <cstdint>
#include <queue>
#include <vector>

namespace margay {

// A part of a word while it merges: a linked list by index, -1 at the ends.
struct MergeSymbol {
  int32_t id;              // the caller's; kMerged when the symbol went into the one before it
  int32_t before, after;   // places
  uint32_t begin, length;  // bytes of the word
  static constexpr int32_t kMerged = -2;
};

// Appends a symbol to a word's list.
inline void append_symbol(std::vector<MergeSymbol>& symbols, int32_t id, size_t begin, size_t length) {
  const auto place = static_cast<int32_t>(symbols.size());
  if (place > 0) symbols.back().after = place;
  symbols.push_back({id, place - 1, -1, static_cast<uint32_t>(begin), static_cast<uint32_t>(length)});
}

// What two symbols side by side become.
struct Merge {
  int32_t rank = -1, id = -1;  // rank -1: they do not merge
};

// Merges the pair of the lowest rank, the leftmost of those, until none is left. find(left, right) gives the Merge of
// two symbols. O(n log n) in the symbols.
template <class Find>
void merge_symbols(std::vector<MergeSymbol>& symbols, const Find& find) {
  struct Candidate {
    int32_t rank, place, id;                        // merge `place` with the symbol after it into `id`
    bool operator<(const Candidate& other) const {  // the best is the largest
      return rank != other.rank ? rank > other.rank : place > other.place;
    }
  };
  std::priority_queue<Candidate> queue;
  const auto propose = [&](int32_t place) {
    if (place < 0 || symbols[place].after < 0) return;
    const Merge merge = find(symbols[place], symbols[symbols[place].after]);
    if (merge.rank >= 0) queue.push({merge.rank, place, merge.id});
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) propose(static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    MergeSymbol& left = symbols[best.place];
    // Merges since it was proposed may have changed either side.
    if (left.id == MergeSymbol::kMerged || left.after < 0) continue;
    MergeSymbol& right = symbols[left.after];
    if (find(left, right).id != best.id) continue;
    left.id = best.id;
    left.length += right.length;
    left.after = right.after;
    right.id = MergeSymbol::kMerged;
    if (left.after >= 0) symbols[left.after].before = best.place;
    propose(left.before);
    propose(best.place);
  }
}

}  // namespace margay
