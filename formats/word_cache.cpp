#include "formats/word_cache.h"

namespace margay {
namespace {

constexpr size_t kWords = 1 << 17, kWordBytes = 256;

}  // namespace

const std::vector<int32_t>* WordCache::find(std::string_view word) const {
  const auto found = words_.find(word);
  return found == words_.end() ? nullptr : &found->second;
}

void WordCache::add(std::string_view word, std::vector<int32_t> ids) {
  if (word.size() > kWordBytes) return;
  if (words_.size() >= kWords) words_.clear();
  words_.emplace(word, std::move(ids));
}

}  // namespace margay
