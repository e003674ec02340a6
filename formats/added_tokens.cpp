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

size_t extend_left(std::string_view text, size_t begin) {
  while (begin > 0) {
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
  if (nodes_.empty()) nodes_.emplace_back();
  first_[static_cast<uint8_t>(text[0])] = true;
  uint32_t node = 0;
  for (const char c : text) {
    const auto [child, fresh] = nodes_[node].next.try_emplace(static_cast<uint8_t>(c), nodes_.size());
    node = child->second;
    if (fresh) nodes_.emplace_back();
  }
  if (nodes_[node].token < 0) nodes_[node].token = static_cast<int64_t>(index);
}

AddedTokenFinder::Match AddedTokenFinder::find(std::string_view text, size_t start) const {
  for (size_t begin = start; begin < text.size(); ++begin) {
    if (!first_[static_cast<uint8_t>(text[begin])]) continue;
    Match match;
    uint32_t node = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      const auto child = nodes_[node].next.find(static_cast<uint8_t>(text[i]));
      if (child == nodes_[node].next.end()) break;
      node = child->second;
      if (nodes_[node].token >= 0) match = {begin, i + 1, static_cast<size_t>(nodes_[node].token)};
    }
    if (match.end > match.begin) return match;
  }
  return {};
}

void AddedTokenFinder::split(std::string_view text, const std::vector<AddedToken>& tokens, bool parse_special,
                             const std::function<void(std::string_view)>& on_text,
                             const std::function<void(int32_t)>& on_token) const {
  size_t done = 0, start = 0;
  while (!nodes_.empty() && start < text.size()) {
    const Match match = find(text, start);
    if (match.end == match.begin) break;
    start = match.end;
    const AddedToken& token = tokens[match.index];
    if (token.special && !parse_special) continue;
    if (token.single_word && !is_single_word(text, match.begin, match.end)) continue;
    const size_t begin = std::max(done, token.lstrip ? extend_left(text, match.begin) : match.begin);
    const size_t end = token.rstrip ? extend_right(text, match.end) : match.end;
    if (done < begin) on_text(text.substr(done, begin - done));
    on_token(token.id);
    done = std::max(done, end);
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace margay
