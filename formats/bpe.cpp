#include "formats/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <queue>

#include "base/error.h"
#include "formats/json.h"
#include "formats/tokenizer_fields.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

constexpr size_t kCachedWords = 1 << 17, kCachedWordBytes = 256;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// A token of a word while it merges: a linked list by index, -1 at the ends.
struct Symbol {
  int32_t id, before, after;
};

struct Candidate {
  int32_t rank, place, id;                        // merge `place` with the symbol after it into `id`
  bool operator<(const Candidate& other) const {  // the best (lowest rank, then leftmost) is the largest
    return rank != other.rank ? rank > other.rank : place > other.place;
  }
};

}  // namespace

const std::vector<int32_t>* WordCache::find(std::string_view word) const {
  const auto found = words_.find(word);
  return found == words_.end() ? nullptr : &found->second;
}

void WordCache::add(std::string_view word, std::vector<int32_t> ids) {
  if (word.size() > kCachedWordBytes) return;
  if (words_.size() >= kCachedWords) words_.clear();
  words_.emplace(word, std::move(ids));
}

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

MergeTable::Merge MergeTable::find(int32_t left, int32_t right) const {
  return slots_[place(pair_key(left, right))].merge;
}

Bpe::Bpe(const Json& json, const std::string& where) {
  const Json& type = optional_field(json, "type");
  // Files of early versions leave the type out; a list of merges tells BPE from the others.
  const std::string name = type.is_string()                            ? type.get<std::string>()
                           : optional_field(json, "merges").is_array() ? "BPE"
                                                                       : "without a type";
  require(name == "BPE", "{}: model {} is not there yet; only byte-level BPE is", where, name);
  const Json& dropout = optional_field(json, "dropout");
  require(dropout.is_null() || dropout == 0.0, "{}: BPE with dropout is not supported", where);
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json& value = optional_field(json, affix);
    require(value.is_null() || value == "", "{}: BPE with {} is not there yet", where, affix);
  }
  require(!bool_field(json, "byte_fallback", false, where),
          "{}: BPE with byte_fallback (SentencePiece) is not there yet", where);
  ignore_merges_ = bool_field(json, "ignore_merges", false, where);
  fuse_unknown_ = bool_field(json, "fuse_unk", false, where);
  read_vocabulary(json, where);
  read_merges(json, where);
  if (const Json& unknown = optional_field(json, "unk_token"); unknown.is_string()) {
    unknown_ = find(unknown.get<std::string>());
  }
}

Bpe::Bpe(const std::vector<std::string_view>& tokens, const std::vector<std::string_view>& merges, bool ignore_merges,
         const std::string& where)
    : ignore_merges_(ignore_merges) {
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

std::vector<std::string> Bpe::merges() const {
  std::vector<std::string> texts;
  texts.reserve(merges_.size());
  for (const auto& [left, right] : merges_) texts.emplace_back(ids_.text(left)).append(" ").append(ids_.text(right));
  return texts;
}

std::optional<int32_t> Bpe::find(std::string_view text) const {
  const int64_t entry = ids_.find(text);
  if (entry < 0) return std::nullopt;
  return ids_.id(entry);
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& ids, WordCache& cache) const {
  if (const auto* cached = cache.find(word)) {
    ids.insert(ids.end(), cached->begin(), cached->end());
    return;
  }
  std::vector<int32_t> tokens;
  const auto whole = ignore_merges_ ? find(bytes_to_characters(word)) : std::nullopt;
  if (whole) tokens = {*whole};
  else tokens = merge_word(word);
  ids.insert(ids.end(), tokens.begin(), tokens.end());
  cache.add(word, std::move(tokens));
}

std::vector<int32_t> Bpe::merge_word(std::string_view word) const {
  require(word.size() < size_t{std::numeric_limits<int32_t>::max()}, "a word of {} bytes is too long", word.size());
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  bool last_unknown = false;
  for (const char byte : word) {
    int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
    const bool unknown = id < 0;
    if (unknown && unknown_ && !(fuse_unknown_ && last_unknown)) id = *unknown_;
    last_unknown = unknown;
    if (id < 0) continue;  // without a token for what is unknown, Hugging Face drops it too
    const auto place = static_cast<int32_t>(symbols.size());
    if (place > 0) symbols.back().after = place;
    symbols.push_back({id, place - 1, -1});
  }

  std::priority_queue<Candidate> queue;
  const auto propose = [&](int32_t place) {
    if (place < 0 || symbols[place].after < 0) return;
    const MergeTable::Merge merge = table_.find(symbols[place].id, symbols[symbols[place].after].id);
    if (merge.rank >= 0) queue.push({merge.rank, place, merge.id});
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) propose(static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.place];
    // Merges since it was proposed may have changed either side.
    if (left.id < 0 || left.after < 0) continue;
    Symbol& right = symbols[left.after];
    if (table_.find(left.id, right.id).id != best.id) continue;
    left.id = best.id;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) symbols[left.after].before = best.place;
    propose(left.before);
    propose(best.place);
  }
  std::vector<int32_t> ids;
  for (const Symbol& symbol : symbols)
    if (symbol.id >= 0) ids.push_back(symbol.id);
  return ids;
}

}  // namespace margay
