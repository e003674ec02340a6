// Byte pair encoding by a list of merges, over bytes or characters.
#pragma once
#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/merge_symbols.h"
#include "formats/token_model.h"

namespace margay {

// A table from pairs of ids to their merge: open addressing, at most half full.
class MergeTable {
 public:
  void reserve(size_t merges);
  void set(int32_t left, int32_t right, Merge merge);  // a later merge of the same pair wins
  Merge find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    uint64_t key = ~uint64_t{0};
    Merge merge;
  };
  size_t place(uint64_t key) const;
  std::vector<Slot> slots_;
};

class Bpe : public TokenModel {
 public:
  // The "model" of a tokenizer.json; see read_token_model(). Throws Error naming `where` on options that are not
  // supported, and on merges of tokens that the vocabulary lacks.
  Bpe(const nlohmann::json& json, bool bytes, const std::string& where);
  // Of GGUF's lists, over bytes: a token's id is its index, or the first one where its text comes again; merges are
  // "left right".
  Bpe(const std::vector<std::string_view>& tokens, const std::vector<std::string_view>& merges, bool ignore_merges,
      const std::string& where);

  std::vector<int32_t> encode(std::string_view word) const override;
  GgufModel gguf(size_t ids) const override;

 private:
  void read_vocabulary(const nlohmann::json& json, const std::string& where);
  void read_merges(const nlohmann::json& json, const std::string& where);
  void reserve_merges(size_t count, const std::string& where);
  void add_merge(std::string_view text, const std::string& where);  // "left right"
  void add_merge(std::string_view left, std::string_view right, const std::string& where);
  void find_bytes();
  std::vector<MergeSymbol> symbols_of(std::string_view word) const;

  const bool bytes_;                                 // of words
  std::vector<std::pair<int32_t, int32_t>> merges_;  // entries of ids_, by rank
  std::string joined_;                               // while merges are read
  MergeTable table_;
  std::array<int32_t, 256> byte_ids_{};  // of words of bytes; -1: the vocabulary lacks the byte
  bool ignore_merges_ = false;
};

}  // namespace margay
