// The pre_tokenizer of a tokenizer.json: cuts a text into the pieces within which BPE merges.
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/regex.h"

namespace margay {

class PreTokenizer {
 public:
  using Sink = std::function<void(std::string_view bytes)>;

  PreTokenizer() = default;
  // Throws Error naming `where` on a kind that is not supported.
  PreTokenizer(const nlohmann::json& json, const std::string& where);

  // Pieces are bytes that the vocabulary spells as characters (ByteLevel); else they are characters.
  bool bytes() const { return bytes_; }

  // Gives the pieces of `text` (valid UTF-8) to `sink` in order. `first`: the text begins with it.
  void run(std::string_view text, bool first, const Sink& sink) const;

  // The steps in one line: equal for pre-tokenizers that do the same.
  std::string description() const;

 private:
  enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
  enum class Prepend { Never, First, Always };  // a space, before the text's beginning or before each part of it
  struct Stage {
    enum Kind { Split, PrefixSpace, Metaspace, Bytes } kind;
    std::optional<Regex> pattern = {};  // of Split
    Behavior behavior = Behavior::Isolated;
    bool invert = false;
    std::string space = {};  // of Metaspace: what spaces become
    Prepend prepend = Prepend::Never;
  };
  class Merger;

  void add(const nlohmann::json& json, const std::string& where, int depth);
  void add_split(Regex pattern, Behavior behavior, bool invert);
  static Behavior behavior_of(const std::string& name, const std::string& where);
  void add_metaspace(const nlohmann::json& json, const std::string& where);
  void run_stage(size_t stage, std::string_view text, bool first, const Sink& sink) const;
  void split(size_t stage, std::string_view text, bool first, const Sink& sink) const;

  std::vector<Stage> stages_;  // a last stage Bytes is left out: then pieces are bytes already
  bool bytes_ = false;
  bool mapped_ = false;  // pieces arrive spelled in byte characters, as a Split follows the stage Bytes
};

}  // namespace margay
