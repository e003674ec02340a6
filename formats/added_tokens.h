// The added_tokens of a tokenizer.json: texts that are tokens by themselves, found before BPE sees the text.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/byte_trie.h"

namespace margay {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool normalized = false;   // found in the normalized text
  bool special = false;
};

// Finds the leftmost and there the longest of a set of texts.
class AddedTokenFinder {
 public:
  // Searches for `text`, which means tokens[index]; empty texts and repeated ones are left out.
  void add(std::string_view text, size_t index);
  bool empty() const { return trie_.empty(); }

  // Cuts `text` (valid UTF-8): calls on_text with the parts between tokens and on_token with the ids of tokens, in
  // order. Special tokens are text unless parse_special.
  void split(std::string_view text, const std::vector<AddedToken>& tokens, bool parse_special,
             const std::function<void(std::string_view)>& on_text, const std::function<void(int32_t)>& on_token) const;

 private:
  struct Match {
    size_t begin = 0, end = 0;  // bytes; end == begin: none
    size_t index = 0;
  };
  Match find(std::string_view text, size_t start) const;

  ByteTrie trie_;         // to indices
  bool first_[256] = {};  // bytes that begin a token
};

}  // namespace margay
