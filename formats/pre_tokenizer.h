// The pre_tokenizer of a tokenizer.json: cuts a text into the pieces within which BPE merges.
#pragma once
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
  // Throws Error naming `where` on a kind that is not supported, and on one that never goes to bytes (ByteLevel).
  PreTokenizer(const nlohmann::json& json, const std::string& where);

  // Gives the pieces of `text` (valid UTF-8) to `sink` in order, as bytes.
  void run(std::string_view text, const Sink& sink) const;

  // The steps in one line: equal for pre-tokenizers that do the same.
  std::string description() const;

 private:
  enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
  struct Stage {
    enum Kind { Split, PrefixSpace, Bytes } kind;
    std::optional<Regex> pattern = {};  // of Split
    Behavior behavior = Behavior::Isolated;
    bool invert = false;
  };
  class Merger;

  void add(const nlohmann::json& json, const std::string& where, int depth);
  void add_split(Regex pattern, Behavior behavior, bool invert);
  static Behavior behavior_of(const std::string& name, const std::string& where);
  void run_stage(size_t stage, std::string_view text, const Sink& sink) const;
  void split(size_t stage, std::string_view text, const Sink& sink) const;

  std::vector<Stage> stages_;  // a last stage Bytes is left out: then pieces are bytes already
  bool mapped_ = false;        // pieces arrive spelled in byte characters, as a Split follows the stage Bytes
};

}  // namespace margay
