// Byte pair encoding over bytes: the "model" of a tokenizer.json.
#pragma once
#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "formats/token_table.h"

namespace margay {

// Hash for maps of strings that are searched by view.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

// The tokens of words seen lately. Text repeats its words: most are found here.
class WordCache {
 public:
  const std::vector<int32_t>* find(std::string_view word) const;
  void add(std::string_view word, std::vector<int32_t> ids);

 private:
  std::unordered_map<std::string, std::vector<int32_t>, StringHash, std::equal_to<>> words_;
};

// A table from pairs of ids to the rank and result of their merge: open addressing, at most half full.
class MergeTable {
 public:
  struct Merge {
    int32_t rank = -1, id = -1;
  };
  void reserve(size_t merges);
  void set(int32_t left, int32_t right, Merge merge);  // a later merge of the same pair wins
  Merge find(int32_t left, int32_t right) const;       // rank -1: none

 private:
  struct Slot {
    uint64_t key = ~uint64_t{0};
    Merge merge;
  };
  size_t place(uint64_t key) const;
  std::vector<Slot> slots_;
};

class Bpe {
 public:
  Bpe() = default;
  // Throws Error naming `where` on anything but BPE, on options that are not supported, and on merges of tokens that
  // the vocabulary lacks.
  Bpe(const nlohmann::json& json, const std::string& where);
  // Of GGUF's lists: a token's id is its index, or the first one where its text comes again; merges are "left right".
  Bpe(const std::vector<std::string_view>& tokens, const std::vector<std::string_view>& merges, bool ignore_merges,
      const std::string& where);

  // Appends the ids of a word, a piece of the pre-tokenizer.
  void encode(std::string_view word, std::vector<int32_t>& ids, WordCache& cache) const;

  std::optional<int32_t> find(std::string_view text) const;  // as the vocabulary spells it
  const TokenTable& vocabulary() const { return ids_; }
  std::vector<std::string> merges() const;  // "left right", by rank
  bool ignores_merges() const { return ignore_merges_; }

 private:
  void read_vocabulary(const nlohmann::json& json, const std::string& where);
  void read_merges(const nlohmann::json& json, const std::string& where);
  void reserve_merges(size_t count, const std::string& where);
  void add_merge(std::string_view text, const std::string& where);  // "left right"
  void add_merge(std::string_view left, std::string_view right, const std::string& where);
  void find_bytes();
  std::vector<int32_t> merge_word(std::string_view word) const;

  TokenTable ids_;
  std::vector<std::pair<int32_t, int32_t>> merges_;  // entries of ids_, by rank
  std::string joined_;                               // while merges are read
  MergeTable table_;
  std::array<int32_t, 256> byte_ids_{};  // -1: the vocabulary lacks the byte
  std::optional<int32_t> unknown_;
  bool fuse_unknown_ = false, ignore_merges_ = false;
};

}  // namespace margay
