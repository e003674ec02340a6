// Characters that a vocabulary lacks.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "formats/token_table.h"

namespace margay {

// The byte of a token "<0x41>", spelled exactly so; nothing for any other text.
std::optional<uint8_t> byte_of_token(std::string_view text);

class UnknownTokens {
 public:
  UnknownTokens() { bytes_.fill(-1); }
  // Unknown characters become their bytes where the vocabulary has a token "<0x..>" for each of them.
  void set_byte_fallback(const TokenTable& vocabulary);
  void set_unknown(std::optional<int32_t> id) { unknown_ = id; }
  void set_fuse(bool fuse) { fuse_ = fuse; }  // unknown characters side by side are one token

  std::optional<int32_t> unknown() const { return unknown_; }

  // Calls on_id(id) for the tokens of an unknown character. `fused` says whether an unknown one stands before it and is
  // updated; the caller resets it at each known one. Without a token for what is unknown nothing stands for it, as in
  // Hugging Face's library.
  template <class OnId>
  void append(std::string_view character, bool& fused, const OnId& on_id) const {
    if (has_bytes(character)) {
      for (const char byte : character) on_id(bytes_[static_cast<uint8_t>(byte)]);
      fused = false;
      return;
    }
    if (unknown_ && !(fuse_ && fused)) on_id(*unknown_);
    fused = true;
  }

 private:
  bool has_bytes(std::string_view character) const;

  std::array<int32_t, 256> bytes_;  // -1: none
  std::optional<int32_t> unknown_;
  bool fuse_ = false;
};

}  // namespace margay
