#include "formats/utf8.h"

#include <utf8proc.h>

#include <array>

namespace margay {
namespace {

// Of GPT-2's spelling: the character of each byte, and the byte of each character below U+0144 (-1: none).
struct ByteTable {
  std::array<uint32_t, 256> character{};
  std::array<int16_t, 0x144> byte{};

  ByteTable() {
    byte.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
      character[b] = printable ? b : next++;
      byte[character[b]] = static_cast<int16_t>(b);
    }
  }
};

const ByteTable& byte_table() {
  static const ByteTable table;
  return table;
}

}  // namespace

Utf8Step utf8_step(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {1, first, true, false};
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return {1, 0xfffd, false, false};
  // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  uint32_t character = first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {i, 0xfffd, false, true};
    const uint8_t b = byte(i);
    if (b < (i == 1 ? low : 0x80) || b > (i == 1 ? high : 0xbf)) return {i, 0xfffd, false, false};
    character = character << 6 | (b & 0x3f);
  }
  return {length, character, true, false};
}

std::string repair_utf8(std::string_view text, bool each_byte) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.valid) result.append(text.substr(0, step.length));
    else
      for (size_t i = 0; i < (each_byte ? step.length : 1); ++i) result.append("\xEF\xBF\xBD");
    text.remove_prefix(step.length);
  }
  return result;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (!step.valid) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

void append_utf8(std::string& out, uint32_t character) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(character), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

void append_byte_character(std::string& out, uint8_t byte) {
  const uint32_t character = byte_table().character[byte];
  if (character < 0x80) {
    out += static_cast<char>(character);
  } else {
    out += static_cast<char>(0xc0 | character >> 6);
    out += static_cast<char>(0x80 | (character & 0x3f));
  }
}

std::string bytes_to_characters(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size() + bytes.size() / 4);
  for (const char byte : bytes) append_byte_character(result, static_cast<uint8_t>(byte));
  return result;
}

bool characters_to_bytes(std::string_view text, std::string& bytes) {
  const size_t before = bytes.size();
  const auto& table = byte_table().byte;
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (!step.valid || step.character >= table.size() || table[step.character] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes += static_cast<char>(table[step.character]);
    text.remove_prefix(step.length);
  }
  return true;
}

bool is_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_word_character(uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

}  // namespace margay
