// SentencePiece's byte pair encoding: two parts merge when together they are a token, the best score first.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/merge_symbols.h"
#include "formats/token_model.h"
#include "formats/token_type.h"

namespace margay {

class SentencePieceBpe : public TokenModel {
 public:
  // Of lists by id: only normal tokens are in words. Byte tokens stand for what the vocabulary lacks, where it has
  // them, else the unknown token does. Throws Error naming `where`.
  SentencePieceBpe(const std::vector<std::string_view>& tokens, std::span<const float> scores,
                   std::span<const TokenType> types, const std::string& where);

  std::vector<int32_t> encode(std::string_view word) const override;
  GgufModel gguf(size_t ids) const override;

 private:
  Merge find_merge(std::string_view text) const;

  struct Entry {
    float score;
    int32_t rank;  // of the score among all, the best is 0; -1: in no word
  };
  std::vector<Entry> entries_;  // by entry of ids_
  size_t longest_ = 0;          // bytes of a token that is in words
};

}  // namespace margay
