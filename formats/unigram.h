// SentencePiece's unigram model: the most likely way to cut a word into tokens.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "formats/byte_trie.h"
#include "formats/token_model.h"
#include "formats/token_type.h"

namespace margay {

class Unigram : public TokenModel {
 public:
  // The "model" of a tokenizer.json. Tokens of `special` ids are in no word. Throws Error naming `where`.
  Unigram(const nlohmann::json& json, const std::unordered_set<int32_t>& special, const std::string& where);
  // Of lists by id: log-probabilities are of normal tokens; words have no others. Byte tokens stand for what the
  // vocabulary lacks, where it has them, else the unknown token does.
  Unigram(const std::vector<std::string_view>& tokens, std::span<const float> scores, std::span<const TokenType> types,
          const std::string& where);

  std::vector<int32_t> encode(std::string_view word) const override;
  GgufModel gguf(size_t ids) const override;

 private:
  void add(std::string_view token, int32_t id, double score, bool normal, const std::string& where);

  ByteTrie trie_;               // to entries
  std::vector<double> scores_;  // by entry of ids_: log-probability
  double unknown_score_ = 0;    // of a character that is no token
};

}  // namespace margay
