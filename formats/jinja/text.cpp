#include "formats/jinja/text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "formats/utf8.h"

namespace margay::jinja {
namespace {

utf8proc_category_t category(uint32_t character) { return utf8proc_category(static_cast<int32_t>(character)); }
bool is_letter(uint32_t character) {
  const utf8proc_category_t c = category(character);
  return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}
bool is_digit(uint32_t character) { return category(character) == UTF8PROC_CATEGORY_ND; }
bool is_cased(uint32_t character) {
  const utf8proc_category_t c = category(character);
  return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

uint32_t lower(uint32_t character) { return static_cast<uint32_t>(utf8proc_tolower(static_cast<int32_t>(character))); }

void append_upper(std::string& out, uint32_t character) {
  if (character == 0xDF) out += "SS";  // German's sharp s has no upper case of its own
  else append_utf8(out, static_cast<uint32_t>(utf8proc_toupper(static_cast<int32_t>(character))));
}

// Each character by `append(out, code point)`.
template <class Append>
std::string map_text(std::string_view text, const Append& append) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](std::string_view character) { append(out, first_character(character)); });
  return out;
}

// The last character of a text that is not empty.
std::string_view last_of(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return text.substr(at);
}

bool all_of(std::string_view text, bool (*is)(uint32_t)) {
  bool all = !text.empty();
  for_each_character(text, [&](std::string_view character) { all = all && is(first_character(character)); });
  return all;
}

bool all_cased(std::string_view text, utf8proc_category_t wanted) {
  bool any = false, all = true;
  for_each_character(text, [&](std::string_view character) {
    const uint32_t c = first_character(character);
    any = any || is_cased(c);
    all = all && (!is_cased(c) || category(c) == wanted);
  });
  return any && all;
}

}  // namespace

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

size_t byte_of_character(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += character_bytes(text[at]);
  return at;
}

uint32_t first_character(std::string_view text) { return utf8_step(text).character; }

std::string lower_text(std::string_view text) {
  return map_text(text, [](std::string& out, uint32_t c) { append_utf8(out, lower(c)); });
}

std::string upper_text(std::string_view text) { return map_text(text, append_upper); }

std::string capitalize_text(std::string_view text) {
  return map_text(text, [](std::string& out, uint32_t c) {
    if (out.empty()) append_upper(out, c);
    else append_utf8(out, lower(c));
  });
}

std::string title_text(std::string_view text) {
  bool in_word = false;
  return map_text(text, [&](std::string& out, uint32_t c) {
    if (in_word) append_utf8(out, lower(c));
    else append_upper(out, c);
    in_word = is_cased(c);
  });
}

bool is_python_space(uint32_t character) { return is_space(character) || (character >= 0x1C && character <= 0x1F); }

std::string_view strip_text(std::string_view text, std::optional<std::string_view> set, bool left, bool right) {
  const auto goes = [&](std::string_view character) {
    return set ? set->find(character) != std::string_view::npos : is_python_space(first_character(character));
  };
  while (left && !text.empty() && goes(text.substr(0, character_bytes(text[0]))))
    text.remove_prefix(character_bytes(text[0]));
  while (right && !text.empty() && goes(last_of(text))) text.remove_suffix(last_of(text).size());
  return text;
}

std::vector<std::string_view> split_text(std::string_view text, std::optional<std::string_view> separator,
                                         int64_t limit) {
  std::vector<std::string_view> parts;
  if (separator) {
    for (size_t at; limit != 0 && (at = text.find(*separator)) != std::string_view::npos; --limit) {
      parts.push_back(text.substr(0, at));
      text.remove_prefix(at + separator->size());
    }
    parts.push_back(text);
    return parts;
  }
  for (text = strip_text(text, {}, true, false); !text.empty(); text = strip_text(text, {}, true, false)) {
    size_t end = text.size();
    if (limit != 0)
      for (end = 0; end < text.size() && !is_python_space(first_character(text.substr(end)));)
        end += character_bytes(text[end]);
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
    --limit;
  }
  return parts;
}

std::vector<std::string_view> split_text_from_right(std::string_view text, std::optional<std::string_view> separator,
                                                    int64_t limit) {
  std::vector<std::string_view> parts;
  if (separator) {
    for (size_t at; limit != 0 && (at = text.rfind(*separator)) != std::string_view::npos; --limit) {
      parts.push_back(text.substr(at + separator->size()));
      text = text.substr(0, at);
    }
    parts.push_back(text);
  } else {
    for (text = strip_text(text, {}, false, true); !text.empty(); text = strip_text(text, {}, false, true)) {
      size_t begin = limit == 0 ? 0 : text.size();
      while (begin > 0) {
        const std::string_view last = last_of(text.substr(0, begin));
        if (is_python_space(first_character(last))) break;
        begin -= last.size();
      }
      parts.push_back(text.substr(begin));
      text = text.substr(0, begin);
      --limit;
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = first_character(text.substr(at));
    size_t length = character_bytes(text[at]);
    const bool end = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (c == '\r' && text.substr(at).starts_with("\r\n")) length = 2;
    if (end) {
      lines.push_back(text.substr(start, at - start + (keep_ends ? length : 0)));
      start = at + length;
    }
    at += length;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

std::string replace_text(std::string_view text, std::string_view from, std::string_view to, int64_t limit,
                         const std::function<void(size_t bytes)>& before_growing) {
  std::string out;
  const auto put = [&](std::string_view piece) {
    before_growing(out.size() + piece.size());
    out += piece;
  };
  if (from.empty()) {  // before each character and at the end
    for (; limit != 0 && !text.empty(); --limit) {
      put(to);
      put(text.substr(0, character_bytes(text[0])));
      text.remove_prefix(character_bytes(text[0]));
    }
    if (limit != 0) put(to);
    put(text);
    return out;
  }
  for (size_t at; limit != 0 && (at = text.find(from)) != std::string_view::npos; --limit) {
    put(text.substr(0, at));
    put(to);
    text.remove_prefix(at + from.size());
  }
  put(text);
  return out;
}

bool all_of_class(std::string_view text, CharacterClass which) {
  switch (which) {
    case CharacterClass::kLetter:
      return all_of(text, is_letter);
    case CharacterClass::kDigit:
      return all_of(text, is_digit);
    case CharacterClass::kLetterOrDigit:
      return all_of(text, [](uint32_t c) { return is_letter(c) || is_digit(c); });
    case CharacterClass::kSpace:
      return all_of(text, is_python_space);
  }
  return false;
}

bool is_lower_text(std::string_view text) { return all_cased(text, UTF8PROC_CATEGORY_LL); }
bool is_upper_text(std::string_view text) { return all_cased(text, UTF8PROC_CATEGORY_LU); }

void append_repr(std::string& out, std::string_view text) {
  const bool single = text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  out += quote;
  for_each_character(text, [&](std::string_view character) {
    const uint32_t c = first_character(character);
    const utf8proc_category_t kind = category(c);
    const bool printable = c == ' ' || (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_SO);
    if (c == '\\' || c == static_cast<uint32_t>(quote)) (out += '\\') += character;
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (printable) out += character;
    else if (c < 0x100) out += fmt::format("\\x{:02x}", c);
    else if (c < 0x10000) out += fmt::format("\\u{:04x}", c);
    else out += fmt::format("\\U{:08x}", c);
  });
  out += quote;
}

std::string float_text(double number) {
  std::string text = fmt::format("{}", number);  // the shortest that reads back, with exponents where Python has them
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::optional<int64_t> parse_whole(std::string_view text, int base) {
  text = strip_text(text, {}, true, true);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto prefix = [&](char letter) { return text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == letter; };
  for (const auto& [letter, value] : {std::pair{'x', 16}, std::pair{'o', 8}, std::pair{'b', 2}}) {
    if (!prefix(letter) || (base != value && base != 0)) continue;
    base = value;
    text.remove_prefix(2);
    break;
  }
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between = i > 0 && i + 1 < text.size() && text[i - 1] != '_';
    if (text[i] != '_' || !between) digits += text[i];
  }
  uint64_t number = 0;
  const auto [rest, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, base == 0 ? 10 : base);
  if (error != std::errc() || rest != digits.data() + digits.size() || number > uint64_t{INT64_MAX})
    return std::nullopt;
  return negative ? -static_cast<int64_t>(number) : static_cast<int64_t>(number);
}

std::optional<double> parse_float(std::string_view text) {
  text = strip_text(text, {}, true, true);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (rest != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  if (error != std::errc()) return std::nullopt;
  return number;
}

}  // namespace margay::jinja
