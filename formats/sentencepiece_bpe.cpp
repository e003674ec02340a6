#include "formats/sentencepiece_bpe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "formats/utf8.h"

namespace margay {
namespace {

constexpr size_t kMaxToken = 512;  // bytes: candidates up to that length are looked up

}  // namespace

SentencePieceBpe::SentencePieceBpe(const std::vector<std::string_view>& tokens, std::span<const float> scores,
                                   std::span<const TokenType> types, const std::string& where) {
  ids_.reserve(tokens.size());
  std::vector<float> order;  // of scores of tokens in words
  bool bytes = false;
  for (size_t id = 0; id < tokens.size(); ++id) {
    require(std::isfinite(scores[id]), "{}: the score of token {} is no number", where, id);
    if (!ids_.add(tokens[id], static_cast<int32_t>(id))) continue;
    const bool normal = types[id] == TokenType::kNormal;
    entries_.push_back({scores[id], normal ? 0 : -1});
    if (types[id] == TokenType::kUnknown && !unknown_.unknown()) unknown_.set_unknown(static_cast<int32_t>(id));
    bytes = bytes || types[id] == TokenType::kByte;
    if (!normal) continue;
    require(tokens[id].size() <= kMaxToken, "{}: token {} has {} bytes, at most {} are supported", where, id,
            tokens[id].size(), kMaxToken);
    longest_ = std::max(longest_, tokens[id].size());
    order.push_back(scores[id]);
  }
  std::sort(order.begin(), order.end(), std::greater<>());
  for (Entry& entry : entries_)
    if (entry.rank == 0)
      entry.rank = static_cast<int32_t>(std::lower_bound(order.begin(), order.end(), entry.score, std::greater<>()) -
                                        order.begin());
  unknown_.set_fuse(true);
  if (bytes) unknown_.set_byte_fallback(ids_);
}

Merge SentencePieceBpe::find_merge(std::string_view text) const {
  if (text.size() > longest_) return {};
  const int64_t entry = ids_.find(text);
  if (entry < 0) return {};
  return {entries_[static_cast<size_t>(entry)].rank, ids_.id(entry)};
}

std::vector<int32_t> SentencePieceBpe::encode(std::string_view word) const {
  require(word.size() < size_t{std::numeric_limits<int32_t>::max()}, "a word of {} bytes is too long", word.size());
  std::vector<MergeSymbol> symbols;
  for (size_t at = 0, length = 0; at < word.size(); at += length) {
    length = utf8_step(word.substr(at)).length;
    const Merge character = find_merge(word.substr(at, length));
    append_symbol(symbols, character.rank < 0 ? -1 : character.id, at, length);
  }
  // Characters that the vocabulary lacks can be parts of its tokens: texts are looked up, not pairs of ids.
  merge_symbols(symbols, [&](const MergeSymbol& left, const MergeSymbol& right) {
    return find_merge(word.substr(left.begin, size_t{left.length} + right.length));
  });
  std::vector<int32_t> ids;
  bool fused = false;
  for (const MergeSymbol& symbol : symbols) {
    if (symbol.id >= 0) {
      ids.push_back(symbol.id);
      fused = false;
    } else if (symbol.id != MergeSymbol::kMerged) {
      unknown_.append(word.substr(symbol.begin, symbol.length), fused, [&](int32_t id) { ids.push_back(id); });
    }
  }
  return ids;
}

GgufModel SentencePieceBpe::gguf(size_t ids) const {
  std::vector<float> scores(ids, 0.0f);
  for (int64_t i = 0; i < ids_.size(); ++i)
    scores[static_cast<size_t>(ids_.id(i))] = entries_[static_cast<size_t>(i)].score;
  return {"llama", {}, std::move(scores), false};
}

}  // namespace margay
