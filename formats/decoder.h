// The decoder of a tokenizer.json: from tokens back to text.
#pragma once
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace margay {

class Decoder {
 public:
  Decoder() = default;
  // `bytes`: the vocabulary spells bytes as characters. Throws Error naming `where` on a kind that is not supported,
  // and on one for the other spelling.
  Decoder(const nlohmann::json& json, bool bytes, const std::string& where);

  // Appends the bytes that a token stands for.
  void append(std::string& out, std::string_view token) const;
  // Leading spaces that a text loses: of those that encoding adds.
  size_t stripped_spaces() const { return stripped_; }
  // Each byte that is no UTF-8 becomes a U+FFFD of its own, as SentencePiece does; else a broken character becomes one.
  bool replaces_each_byte() const { return byte_tokens_; }

 private:
  void add(const nlohmann::json& json, const std::string& where, int depth);

  bool bytes_ = false;        // ByteLevel
  bool byte_tokens_ = false;  // "<0x41>" is a byte
  bool fused_ = false;        // while it is read: tokens are joined by now
  std::vector<std::pair<std::string, std::string>> replacements_;
  size_t stripped_ = 0;
};

}  // namespace margay
