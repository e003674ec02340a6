#include "formats/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/json.h"
#include "formats/tokenizer_fields.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

void MergeTable::reserve(size_t merges) { slots_.assign(std::bit_ceil(merges * 2 + 2), Slot{}); }

size_t MergeTable::place(uint64_t key) const {
  const size_t mask = slots_.size() - 1;
  uint64_t hash = key * 0x9e3779b97f4a7c15u;
  hash ^= hash >> 32;
  size_t i = hash & mask;
  while (slots_[i].key != key && slots_[i].key != ~uint64_t{0}) i = (i + 1) & mask;
  return i;
}

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = pair_key(left, right);
  slots_[place(key)] = {key, merge};
}

Merge MergeTable::find(int32_t left, int32_t right) const { return slots_[place(pair_key(left, right))].merge; }

Bpe::Bpe(const Json& json, bool bytes, const std::string& where) : bytes_(bytes) {
  const Json& dropout = optional_field(json, "dropout");
  require(dropout.is_null() || dropout == 0.0, "{}: BPE with dropout is not supported", where);
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json& value = optional_field(json, affix);
    require(value.is_null() || value == "", "{}: BPE with {} is not supported", where, affix);
  }
  ignore_merges_ = bool_field(json, "ignore_merges", false, where);
  read_vocabulary(json, where);
  read_merges(json, where);
  unknown_.set_fuse(bool_field(json, "fuse_unk", false, where));
  if (const Json& unknown = optional_field(json, "unk_token"); unknown.is_string())
    unknown_.set_unknown(find(unknown.get_ref<const std::string&>()));
  // A vocabulary of bytes lacks none.
  if (bool_field(json, "byte_fallback", false, where) && !bytes) unknown_.set_byte_fallback(ids_);
}

Bpe::Bpe(const std::vector<std::string_view>& tokens, const std::vector<std::string_view>& merges, bool ignore_merges,
         const std::string& where)
    : bytes_(true), ignore_merges_(ignore_merges) {
  require(tokens.size() < size_t{std::numeric_limits<int32_t>::max()}, "{}: {} tokens are too many", where,
          tokens.size());
  ids_.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) ids_.add(tokens[id], static_cast<int32_t>(id));
  find_bytes();
  reserve_merges(merges.size(), where);
  for (const std::string_view merge : merges) add_merge(merge, where);
}

void Bpe::read_vocabulary(const Json& json, const std::string& where) {
  const Json& vocabulary = optional_field(json, "vocab");
  require(vocabulary.is_object(), "{}: the vocabulary is {}, expected an object", where, json_kind(vocabulary));
  ids_.reserve(vocabulary.size());
  for (const auto& [text, id] : vocabulary.items()) ids_.add(text, token_id_field(id, where));
  find_bytes();
}

void Bpe::find_bytes() {
  std::string text;
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    text.clear();
    append_byte_character(text, static_cast<uint8_t>(byte));
    byte_ids_[byte] = find(text).value_or(-1);
  }
}

void Bpe::read_merges(const Json& json, const std::string& where) {
  const Json& merges = array_field(json, "merges", where);
  reserve_merges(merges.size(), where);
  for (const Json& merge : merges) {
    if (merge.is_string()) {
      add_merge(merge.get_ref<const std::string&>(), where);
      continue;
    }
    require(merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string(),
            "{}: merge {} is {}, expected two tokens", where, merges_.size(), json_kind(merge));
    add_merge(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(), where);
  }
}

void Bpe::reserve_merges(size_t count, const std::string& where) {
  require(count < size_t{std::numeric_limits<int32_t>::max()}, "{}: {} merges are too many", where, count);
  table_.reserve(count);
  merges_.reserve(count);
}

void Bpe::add_merge(std::string_view text, const std::string& where) {
  const size_t space = text.find(' ', 1);
  require(space != std::string_view::npos && space + 1 < text.size(), "{}: merge {} is \"{}\", expected two tokens",
          where, merges_.size(), text);
  add_merge(text.substr(0, space), text.substr(space + 1), where);
}

void Bpe::add_merge(std::string_view left, std::string_view right, const std::string& where) {
  joined_.assign(left).append(right);
  const int64_t a = ids_.find(left), b = ids_.find(right), both = ids_.find(joined_);
  require(a >= 0 && b >= 0 && both >= 0,
          "{}: merge {} of \"{}\" and \"{}\": the vocabulary lacks one of them or the result", where, merges_.size(),
          left, right);
  table_.set(ids_.id(a), ids_.id(b), {static_cast<int32_t>(merges_.size()), ids_.id(both)});
  merges_.emplace_back(static_cast<int32_t>(a), static_cast<int32_t>(b));
}

GgufModel Bpe::gguf(size_t ids) const {
  if (bytes_) {
    std::vector<std::string> merges;
    merges.reserve(merges_.size());
    for (const auto& [left, right] : merges_) merges.emplace_back(ids_.text(left)).append(" ").append(ids_.text(right));
    return {"gpt2", std::move(merges), {}, ignore_merges_};
  }
  // SentencePiece merges into the token of the highest score: minus the rank of the first merge into it. Its characters
  // have lower ones still; what is neither is no part of a word.
  std::vector<float> scores(ids, 0.0f);
  const auto rank = [](size_t place) { return -static_cast<float>(place); };
  size_t characters = merges_.size();
  for (int64_t i = 0; i < ids_.size(); ++i)
    if (!ids_.text(i).empty() && utf8_step(ids_.text(i)).length == ids_.text(i).size())
      scores[static_cast<size_t>(ids_.id(i))] = rank(characters++);
  for (size_t i = merges_.size(); i-- > 0;) {
    const auto [left, right] = merges_[i];
    scores[static_cast<size_t>(table_.find(ids_.id(left), ids_.id(right)).id)] = rank(i);
  }
  return {"llama", {}, std::move(scores), ignore_merges_};
}

std::vector<int32_t> Bpe::encode(std::string_view word) const {
  require(word.size() < size_t{std::numeric_limits<int32_t>::max()}, "a word of {} bytes is too long", word.size());
  if (ignore_merges_)
    if (const auto whole = bytes_ ? find(bytes_to_characters(word)) : find(word)) return {*whole};
  std::vector<MergeSymbol> symbols = symbols_of(word);
  merge_symbols(symbols,
                [&](const MergeSymbol& left, const MergeSymbol& right) { return table_.find(left.id, right.id); });
  std::vector<int32_t> ids;
  for (const MergeSymbol& symbol : symbols)
    if (symbol.id >= 0) ids.push_back(symbol.id);
  return ids;
}

std::vector<MergeSymbol> Bpe::symbols_of(std::string_view word) const {
  std::vector<MergeSymbol> symbols;
  symbols.reserve(word.size());
  bool fused = false;
  for (size_t at = 0, length = 1; at < word.size(); at += length) {
    if (!bytes_) length = utf8_step(word.substr(at)).length;
    const std::string_view character = word.substr(at, length);
    const int64_t entry = bytes_ ? -1 : ids_.find(character);
    const int32_t id = bytes_ ? byte_ids_[static_cast<uint8_t>(word[at])] : entry < 0 ? -1 : ids_.id(entry);
    const auto append = [&](int32_t token) { append_symbol(symbols, token, at, length); };
    if (id < 0) {
      unknown_.append(character, fused, append);
    } else {
      append(id);
      fused = false;
    }
  }
  return symbols;
}

}  // namespace margay
