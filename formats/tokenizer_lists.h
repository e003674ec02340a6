// Tokenizers made of lists: of GGUF's keys, of SentencePiece's and tiktoken's files.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_pre.h"
#include "formats/sentencepiece_model.h"
#include "formats/token_type.h"
#include "formats/tokenizer_impl.h"

namespace margay {

struct ByteBpeLists {
  // By id. A text that comes again has both its ids; words become the first one.
  std::vector<std::string_view> tokens;
  std::vector<TokenType> types;
  std::vector<std::string_view> merges;  // "left right", by rank
  std::optional<int32_t> bos;            // put before every text
};

// Throws Error naming `where`, as make_sentencepiece() does.
std::shared_ptr<Tokenizer::Impl> make_byte_bpe(const ByteBpeLists& lists, const GgufPre& pre, const std::string& where);

// `added` are tokens besides the model's pieces, or flags of those, as tokenizer.json has them.
std::shared_ptr<Tokenizer::Impl> make_sentencepiece(const SentencePieceModel& model, const nlohmann::json& added,
                                                    const std::string& where);

// The text of a token that only fills an id.
std::string padding_token(size_t id);

}  // namespace margay
