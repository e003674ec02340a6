// The "model" of a tokenizer: turns words, the pieces of its pre-tokenizer, into tokens.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/token_table.h"
#include "formats/unknown_tokens.h"

namespace margay {

// A model as GGUF's keys spell it.
struct GgufModel {
  const char* name;                 // tokenizer.ggml.model
  std::vector<std::string> merges;  // tokenizer.ggml.merges, of "gpt2"
  std::vector<float> scores;        // tokenizer.ggml.scores by id, of "llama" and "t5"
  bool ignore_merges = false;       // a word that is a token is not cut; tokenizer.ggml.pre implies it
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  virtual std::vector<int32_t> encode(std::string_view word) const = 0;
  // `ids` is the largest id + 1.
  virtual GgufModel gguf(size_t ids) const = 0;

  const TokenTable& vocabulary() const { return ids_; }
  std::optional<int32_t> find(std::string_view text) const;              // by the vocabulary's spelling
  std::optional<int32_t> unknown() const { return unknown_.unknown(); }  // the token for what the vocabulary lacks

 protected:
  TokenTable ids_;
  UnknownTokens unknown_;
};

// The model of a whole tokenizer.json: BPE or Unigram. `bytes`: its words are bytes, each spelled as one printable
// character in the vocabulary; else they are characters. Throws Error naming `where` on other kinds and on options that
// are not supported.
std::unique_ptr<TokenModel> read_token_model(const nlohmann::json& tokenizer, bool bytes, const std::string& where);

}  // namespace margay
