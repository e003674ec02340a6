// SentencePiece vocabularies: from tokenizer.model files and from GGUF's lists.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/token_type.h"

namespace margay {

struct SentencePieceModel {
  bool unigram = false;  // else byte pair encoding
  // By id. Views into what the model was read from.
  std::vector<std::string_view> pieces;
  std::vector<float> scores;
  std::vector<TokenType> types;
  std::optional<int32_t> bos, eos;

  // How a text is normalized: by a table first (empty: none), then its spaces.
  std::string_view charsmap;
  bool collapse_spaces = false;  // runs become one, none begins or ends a text
  // A space before the text: before each part between added tokens, or before the first part only.
  bool prefix_space = true, prefix_first_only = false;
};

// Of a tokenizer.model's bytes (a ModelProto). Throws Error naming `where` when they are broken, and on models of words
// or characters.
SentencePieceModel read_sentencepiece_model(std::string_view bytes, const std::string& where);

}  // namespace margay
