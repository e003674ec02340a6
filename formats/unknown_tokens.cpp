#include "formats/unknown_tokens.h"

#include <algorithm>

namespace margay {
namespace {

// Upper-case digits only: "<0x0a>" and "<0x-1>" are no bytes.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::optional<uint8_t> byte_of_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high << 4 | low);
}

void UnknownTokens::set_byte_fallback(const TokenTable& vocabulary) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text = "<0x00>";
  for (size_t byte = 0; byte < bytes_.size(); ++byte) {
    text[3] = kDigits[byte >> 4];
    text[4] = kDigits[byte & 15];
    const int64_t entry = vocabulary.find(text);
    bytes_[byte] = entry < 0 ? -1 : vocabulary.id(entry);
  }
}

bool UnknownTokens::has_bytes(std::string_view character) const {
  return std::all_of(character.begin(), character.end(),
                     [&](char byte) { return bytes_[static_cast<uint8_t>(byte)] >= 0; });
}

}  // namespace margay
