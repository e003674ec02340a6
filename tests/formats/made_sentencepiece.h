// SentencePiece models by hand, field by field.
#pragma once
#include <cstring>
#include <string>
#include <string_view>

#include "formats/token_type.h"
#include "formats/tokenizer.h"
#include "tests/formats/broken_files.h"
#include "tests/test_data.h"

namespace margay::test {

// A message of Protocol Buffers.
class MadeMessage {
 public:
  MadeMessage& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  MadeMessage& integer(uint32_t field, uint64_t value) { return varint(field << 3).varint(value); }
  MadeMessage& number(uint32_t field, float value) {
    varint(field << 3 | 5).bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  MadeMessage& bytes(uint32_t field, std::string_view value) {
    varint(field << 3 | 2).varint(value.size()).bytes_ += value;
    return *this;
  }
  const std::string& text() const { return bytes_; }

 private:
  std::string bytes_;
};

enum class MadeKind : uint64_t { kUnigram = 1, kBpe = 2, kWord = 3 };

// Pieces 0 to 2 are <unk>, <s> and </s>; add others.
class MadeSentencePiece {
 public:
  explicit MadeSentencePiece(MadeKind kind) {
    trainer_.integer(3, static_cast<uint64_t>(kind));
    piece("<unk>", 0, TokenType::kUnknown);
    piece("<s>", 0, TokenType::kControl);
    piece("</s>", 0, TokenType::kControl);
  }
  MadeSentencePiece& piece(std::string_view text, float score, TokenType type = TokenType::kNormal) {
    MadeMessage message;
    message.bytes(1, text).number(2, score).integer(3, static_cast<uint64_t>(type));
    pieces_.bytes(1, message.text());
    return *this;
  }
  // <0x00> to <0xFF>.
  MadeSentencePiece& bytes() {
    constexpr char kDigits[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; ++byte)
      piece(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", 0, TokenType::kByte);
    return *this;
  }
  MadeSentencePiece& normalizer(bool prefix_space, bool collapse_spaces, std::string_view charsmap = {}) {
    normalizer_ = MadeMessage();
    normalizer_.bytes(2, charsmap).integer(3, prefix_space).integer(4, collapse_spaces);
    return *this;
  }
  std::string text() const {
    MadeMessage model = pieces_;
    return model.bytes(2, trainer_.text()).bytes(3, normalizer_.text()).text();
  }
  Tokenizer load(const std::string& name) const {
    const std::string path = scratch(name + ".model");
    put(path, text());
    return Tokenizer::from_file(path);
  }

 private:
  MadeMessage pieces_, trainer_, normalizer_;
};

}  // namespace margay::test
