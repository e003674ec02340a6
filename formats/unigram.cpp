#include "formats/unigram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/json.h"
#include "formats/tokenizer_fields.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

constexpr double kUnknownPenalty = 10;  // SentencePiece's: an unknown character is that much less likely than any token
constexpr size_t kMaxToken = 512;       // bytes: each place of a text is tried with all tokens that begin there

}  // namespace

Unigram::Unigram(const Json& json, const std::unordered_set<int32_t>& special, const std::string& where) {
  const Json& vocabulary = array_field(json, "vocab", where);
  ids_.reserve(vocabulary.size());
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    const Json& entry = vocabulary[id];
    require(entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_number(),
            "{}: token {} of the vocabulary is {}, expected its text and its score", where, id, json_kind(entry));
    add(entry[0].get_ref<const std::string&>(), static_cast<int32_t>(id), entry[1].get<double>(),
        !special.contains(static_cast<int32_t>(id)), where);
  }
  if (const Json& unknown = optional_field(json, "unk_id"); !unknown.is_null()) {
    const int32_t id = token_id_field(unknown, where + ": unk_id");
    require(static_cast<size_t>(id) < vocabulary.size(), "{}: unk_id is {}, there are {} tokens", where, id,
            vocabulary.size());
    unknown_.set_unknown(id);
  }
  unknown_.set_fuse(true);
  if (bool_field(json, "byte_fallback", false, where)) unknown_.set_byte_fallback(ids_);
}

Unigram::Unigram(const std::vector<std::string_view>& tokens, std::span<const float> scores,
                 std::span<const TokenType> types, const std::string& where) {
  ids_.reserve(tokens.size());
  bool bytes = false;
  for (size_t id = 0; id < tokens.size(); ++id) {
    add(tokens[id], static_cast<int32_t>(id), scores[id], types[id] == TokenType::kNormal, where);
    if (types[id] == TokenType::kUnknown && !unknown_.unknown()) unknown_.set_unknown(static_cast<int32_t>(id));
    bytes = bytes || types[id] == TokenType::kByte;
  }
  unknown_.set_fuse(true);
  if (bytes) unknown_.set_byte_fallback(ids_);
}

void Unigram::add(std::string_view token, int32_t id, double score, bool normal, const std::string& where) {
  require(std::isfinite(score), "{}: the score of token {} is no number", where, id);
  if (!ids_.add(token, id)) return;
  scores_.push_back(score);
  if (!normal || token.empty()) return;
  require(token.size() <= kMaxToken, "{}: token {} has {} bytes, at most {} are supported", where, id, token.size(),
          kMaxToken);
  trie_.add(token, static_cast<int32_t>(ids_.size() - 1));
  unknown_score_ = std::min(unknown_score_, score - kUnknownPenalty);
}

// Viterbi's algorithm: the best way to each place comes by one token from the best way to an earlier one.
std::vector<int32_t> Unigram::encode(std::string_view word) const {
  require(word.size() < size_t{std::numeric_limits<int32_t>::max()}, "a word of {} bytes is too long", word.size());
  struct Way {
    double score = 0;
    int32_t from = -1;   // place where the last token begins; -1: none yet
    int32_t entry = -1;  // the last token; -1: an unknown character
  };
  std::vector<Way> ways(word.size() + 1);
  for (size_t at = 0; at < word.size();) {
    const double score = ways[at].score;
    const auto offer = [&](size_t length, double gain, int32_t entry) {
      Way& way = ways[at + length];
      if (way.from < 0 || score + gain > way.score) way = {score + gain, static_cast<int32_t>(at), entry};
    };
    const size_t character = utf8_step(word.substr(at)).length;
    bool known = false;
    trie_.prefixes(word.substr(at), [&](size_t length, int32_t entry) {
      offer(length, scores_[static_cast<size_t>(entry)], entry);
      known = known || length == character;
    });
    if (!known) offer(character, unknown_score_, -1);
    at += character;
  }

  std::vector<std::pair<std::string_view, int32_t>> tokens;  // text and entry, the last one first
  for (size_t end = word.size(); end > 0; end = static_cast<size_t>(ways[end].from)) {
    const auto begin = static_cast<size_t>(ways[end].from);
    tokens.emplace_back(word.substr(begin, end - begin), ways[end].entry);
  }
  std::vector<int32_t> ids;
  ids.reserve(tokens.size());
  bool fused = false;
  for (auto token = tokens.rbegin(); token != tokens.rend(); ++token) {
    const auto& [text, entry] = *token;
    if (entry < 0) {
      unknown_.append(text, fused, [&](int32_t id) { ids.push_back(id); });
    } else {
      ids.push_back(ids_.id(entry));
      fused = false;
    }
  }
  return ids;
}

GgufModel Unigram::gguf(size_t ids) const {
  std::vector<float> scores(ids, 0.0f);
  for (int64_t i = 0; i < ids_.size(); ++i)
    scores[static_cast<size_t>(ids_.id(i))] = static_cast<float>(scores_[static_cast<size_t>(i)]);
  return {"t5", {}, std::move(scores), false};
}

}  // namespace margay
