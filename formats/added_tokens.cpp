#include "formats/added_tokens.h"

#include <algorithm>

#include "formats/utf8.h"

namespace margay {
namespace {

// The last character of a text that is not empty.
Utf8Step last_step(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (text[start] & 0xc0) == 0x80) --start;
  return utf8_step(text.substr(start));
}

bool is_single_word(std::string_view text, size_t begin, size_t end) {
  const bool before = begin > 0 && is_word_character(last_step(text.substr(0, begin)).character);
  const bool after = end < text.size() && is_word_character(utf8_step(text.substr(end)).character);
  return !before && !after;
}

// Not past `done`, where an earlier token ends.
size_t extend_left(std::string_view text, size_t begin, size_t done) {
  while (begin > done) {
    const Utf8Step step = last_step(text.substr(0, begin));
    if (!is_space(step.character)) break;
    begin -= step.length;
  }
  return begin;
}

size_t extend_right(std::string_view text, size_t end) {
  while (end < text.size()) {
    const Utf8Step step = utf8_step(text.substr(end));
    if (!is_space(step.character)) break;
    end += step.length;
  }
  return end;
}

}  // namespace

void AddedTokenFinder::add(std::string_view text, size_t index) {
  if (text.empty()) return;
  first_[static_cast<uint8_t>(text[0])] = true;
  trie_.add(text, static_cast<int32_t>(index));
}

AddedTokenFinder::Match AddedTokenFinder::find(std::string_view text, size_t start) const {
  for (size_t begin = start; begin < text.size(); ++begin) {
    if (!first_[static_cast<uint8_t>(text[begin])]) continue;
    Match match;
    trie_.prefixes(text.substr(begin), [&](size_t length, int32_t index) {
      match = {begin, begin + length, static_cast<size_t>(index)};
    });
    if (match.end > match.begin) return match;
  }
  return {};
}

void AddedTokenFinder::split(std::string_view text, const std::vector<AddedToken>& tokens, bool parse_special,
                             const std::function<void(std::string_view)>& on_text,
                             const std::function<void(int32_t)>& on_token) const {
  size_t done = 0, start = 0;
  while (!trie_.empty() && start < text.size()) {
    const Match match = find(text, start);
    if (match.end == match.begin) break;
    start = match.end;
    const AddedToken& token = tokens[match.index];
    if (token.special && !parse_special) continue;
    if (token.single_word && !is_single_word(text, match.begin, match.end)) continue;
    const size_t begin = token.lstrip ? extend_left(text, match.begin, done) : match.begin;
    const size_t end = token.rstrip ? extend_right(text, match.end) : match.end;
    if (done < begin) on_text(text.substr(done, begin - done));
    on_token(token.id);
    start = done = end;  // white space that a token took is no part of another one
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace margay
