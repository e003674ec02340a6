// Python's view of text: strings of code points. All texts are valid UTF-8.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace margay::jinja {

// Bytes of the character that begins with this byte.
inline size_t character_bytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

template <class Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_bytes(text[at]);
    visit(text.substr(at, length));
    at += length;
  }
}

int64_t count_characters(std::string_view text);
size_t byte_of_character(std::string_view text, int64_t index);  // text.size() when there are fewer
uint32_t first_character(std::string_view text);                 // the code point; text is not empty

std::string lower_text(std::string_view text);
std::string upper_text(std::string_view text);
std::string capitalize_text(std::string_view text);  // first character upper, the others lower
std::string title_text(std::string_view text);       // the first letter of each word upper, the others lower

bool is_python_space(uint32_t character);
// Without the leading or trailing characters that are in `set`, or that are white space when there is no set.
std::string_view strip_text(std::string_view text, std::optional<std::string_view> set, bool left, bool right);

// Python's split() and rsplit(): without a separator at runs of white space. At most `limit` cuts, -1: all.
std::vector<std::string_view> split_text(std::string_view text, std::optional<std::string_view> separator,
                                         int64_t limit);
std::vector<std::string_view> split_text_from_right(std::string_view text, std::optional<std::string_view> separator,
                                                    int64_t limit);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
// At most `limit` replacements, -1: all. `before_growing` is called with the size to be.
std::string replace_text(std::string_view text, std::string_view from, std::string_view to, int64_t limit,
                         const std::function<void(size_t bytes)>& before_growing);

// Characters of a class: text that is not empty and has only such.
enum class CharacterClass { kLetter, kDigit, kLetterOrDigit, kSpace };
bool all_of_class(std::string_view text, CharacterClass which);
bool is_lower_text(std::string_view text);  // has letters with case, and all are lower
bool is_upper_text(std::string_view text);

// Python's repr() of a string and of a float.
void append_repr(std::string& out, std::string_view text);
std::string float_text(double number);

// Python's int(text, base) and float(text); nullopt where it raises ValueError or a number does not fit.
std::optional<int64_t> parse_whole(std::string_view text, int base);
std::optional<double> parse_float(std::string_view text);

}  // namespace margay::jinja
