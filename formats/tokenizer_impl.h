// The inside of Tokenizer: what its loaders fill in.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/added_tokens.h"
#include "formats/decoder.h"
#include "formats/normalizer.h"
#include "formats/pre_tokenizer.h"
#include "formats/token_model.h"
#include "formats/token_type.h"
#include "formats/tokenizer.h"
#include "formats/word_cache.h"

namespace margay {

struct Tokenizer::Impl {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<const TokenModel> model;
  Decoder decoder;
  // No token goes on after a space that follows something else: so words of characters can be cut there, and most are
  // found in the cache.
  bool cuts_at_spaces = false;
  std::vector<AddedToken> added;
  AddedTokenFinder raw_finder, normalized_finder;  // in the text as it came, and after the normalizer
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> added_ids;
  std::vector<int32_t> prefix, suffix;  // what the post-processor puts around a text

  std::vector<std::string> texts;  // by id, as the vocabulary spells them; empty where no token has the id
  std::vector<TokenType> types;    // by id
  std::optional<int32_t> bos;
  std::vector<int32_t> eos;
  std::string chat_template;
  // The tokenizer.json this was loaded from; empty when it came from SentencePiece's lists, which say all. One that was
  // made of byte-level BPE's lists lacks vocabulary and merges until it is asked for: putting 128 k tokens into JSON
  // takes longer than all else of loading.
  std::string json_text;
  bool json_lacks_model = false;

  // One cache for all calls; a call that finds it taken by another thread uses its own.
  mutable std::mutex cache_mutex;
  mutable WordCache cache;

  // Reads a whole tokenizer.json; `where` names it in errors. `given` is a model that is not read from json["model"].
  Impl(const nlohmann::json& json, std::unique_ptr<const TokenModel> given, std::string text, const std::string& where);

  std::optional<int32_t> find(std::string_view text) const;
  // The words of a text without added tokens, in a row, as the model sees them.
  std::string words(std::string_view text) const;
  void encode_word(std::string_view word, std::vector<int32_t>& ids, WordCache& own) const;
  bool is_token(int64_t id) const { return id >= 0 && id < static_cast<int64_t>(texts.size()) && !texts[id].empty(); }
  // Makes encode() begin with bos, or not, whatever the post-processor says.
  void set_adds_bos(bool adds);
  void set_adds_eos(bool adds);
  void add_eos(int64_t id);  // ignored when it is no token or known already
  void find_cuts();          // sets cuts_at_spaces by texts and types

 private:
  void read_added_tokens(const nlohmann::json& json, const std::string& where);
  void read_post_processor(const nlohmann::json& json, const std::string& where, int depth);
  void read_template(const nlohmann::json& json, const std::string& where);
  void collect_texts(const std::string& where);
};

}  // namespace margay
