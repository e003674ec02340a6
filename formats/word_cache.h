// The tokens of words seen lately.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace margay {

// Hash for maps of strings that are searched by view.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

// Text repeats its words: most are found here.
class WordCache {
 public:
  const std::vector<int32_t>* find(std::string_view word) const;
  void add(std::string_view word, std::vector<int32_t> ids);

 private:
  std::unordered_map<std::string, std::vector<int32_t>, StringHash, std::equal_to<>> words_;
};

}  // namespace margay
