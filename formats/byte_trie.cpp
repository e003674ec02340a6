#include "formats/byte_trie.h"

#include <limits>

#include "base/error.h"

namespace margay {

size_t ByteTrie::place(uint32_t node, uint8_t byte) const {
  const size_t mask = edges_.size() - 1;
  const uint64_t hash = (uint64_t{node} << 8 | byte) * 0x9e3779b97f4a7c15u;
  size_t i = (hash >> 32) & mask;
  while (edges_[i].child != 0 && (edges_[i].parent != node || bytes_[edges_[i].child] != byte)) i = (i + 1) & mask;
  return i;
}

void ByteTrie::grow() {
  std::vector<Edge> old(edges_.empty() ? 64 : 2 * edges_.size());
  old.swap(edges_);
  for (const Edge& edge : old)
    if (edge.child != 0) edges_[place(edge.parent, bytes_[edge.child])] = edge;
}

void ByteTrie::add(std::string_view text, int32_t value) {
  if (bytes_.empty()) {
    bytes_.push_back(0);
    values_.push_back(-1);
  }
  require(bytes_.size() + text.size() <= size_t{std::numeric_limits<int32_t>::max()},
          "tokens of {} bytes are too many for one vocabulary", bytes_.size() + text.size());
  uint32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (2 * bytes_.size() >= edges_.size()) grow();
    Edge& edge = edges_[place(node, byte)];
    if (edge.child == 0) {
      edge = {node, static_cast<uint32_t>(bytes_.size())};
      bytes_.push_back(byte);
      values_.push_back(-1);
    }
    node = edge.child;
  }
  if (values_[node] < 0) values_[node] = value;
}

}  // namespace margay
