// A trie over bytes: which of many texts stand at a place of a text.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace margay {

// Edges lie in one hash table: some 30 bytes for each byte of the texts.
class ByteTrie {
 public:
  // Of a text that is not empty; the first value of a text stays. Throws Error beyond 2^31 nodes.
  void add(std::string_view text, int32_t value);
  bool empty() const { return bytes_.size() <= 1; }

  // Calls on_match(length, value) for each text that `text` begins with, the shortest first.
  template <class OnMatch>
  void prefixes(std::string_view text, const OnMatch& on_match) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) return;
      if (values_[node] >= 0) on_match(i + 1, values_[node]);
    }
  }

 private:
  struct Edge {
    uint32_t parent = 0, child = 0;  // child 0: free
  };
  // The child's node; 0 when there is none.
  uint32_t child(uint32_t node, uint8_t byte) const { return edges_.empty() ? 0 : edges_[place(node, byte)].child; }
  size_t place(uint32_t node, uint8_t byte) const;
  void grow();

  std::vector<Edge> edges_;      // open addressing, at most half full
  std::vector<uint8_t> bytes_;   // by node: the edge's byte that leads there; node 0 is the root
  std::vector<int32_t> values_;  // by node; -1: no text ends there
};

}  // namespace margay
