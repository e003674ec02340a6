// UTF-8: walking, repairing, and GPT-2's spelling of bytes as printable characters.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace margay {

// What stands at the start of a text.
struct Utf8Step {
  size_t length = 0;       // bytes of the character; or, when it is not valid, of what one U+FFFD replaces
  uint32_t character = 0;  // the code point; U+FFFD when not valid
  bool valid = false;
  bool incomplete = false;  // not valid, but more bytes could make it so
};
Utf8Step utf8_step(std::string_view text);

// The text with every maximal ill-formed part replaced by U+FFFD (as the Unicode standard recommends, and as Rust's
// from_utf8_lossy does); `each_byte`: each byte of such a part, as SentencePiece does.
std::string repair_utf8(std::string_view text, bool each_byte = false);
bool is_utf8(std::string_view text);
void append_utf8(std::string& out, uint32_t character);

// Bytes as byte-level BPE vocabularies spell them: printable Latin-1 stands for itself, the others for U+0100 and up
// (a space is "Ġ").
std::string bytes_to_characters(std::string_view bytes);
void append_byte_character(std::string& out, uint8_t byte);
// The way back, appended to `bytes`; false (and nothing appended) when a character stands for no byte.
bool characters_to_bytes(std::string_view text, std::string& bytes);

// SentencePiece's vocabularies spell a space as U+2581, "▁".
inline constexpr std::string_view kSpaceMark = "\u2581";

// Unicode's White_Space, and regular expressions' \w.
bool is_space(uint32_t character);
bool is_word_character(uint32_t character);

}  // namespace margay
