// What a token is, with the numbers of tokenizer.ggml.token_type and of SentencePiece's piece types.
#pragma once
#include <cstdint>

namespace margay {

enum class TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,      // stands for what the vocabulary lacks
  kControl = 3,      // no text: begins or ends a text, a turn...
  kUserDefined = 4,  // found in a text before the model sees it
  kUnused = 5,       // never in a text; fills an id
  kByte = 6,         // "<0x41>": one byte of a character that the vocabulary lacks
};

}  // namespace margay
