// The normalizer of a tokenizer.json: Unicode forms, case, accents, spaces, replacements.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/charsmap.h"
#include "formats/regex.h"

namespace margay {

class Normalizer {
 public:
  Normalizer() = default;
  // Throws Error naming `where` on a kind that is not supported.
  Normalizer(const nlohmann::json& json, const std::string& where);

  bool empty() const { return steps_.empty(); }
  // `text` is valid UTF-8. Throws Error when the steps make it many times longer.
  std::string apply(std::string_view text) const;
  // SentencePiece's table, where a step has one.
  const Charsmap* charsmap() const;

 private:
  struct Step {
    enum Kind { NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, Precompiled } kind;
    std::string text = {};              // of Prepend and Replace
    std::optional<Regex> pattern = {};  // of Replace
    bool left = false, right = false;   // of Strip
    std::shared_ptr<const Charsmap> charsmap = {};
  };
  void add(const nlohmann::json& json, const std::string& where, int depth);
  static std::string apply_step(const Step& step, std::string_view text, size_t limit);

  std::vector<Step> steps_;
};

}  // namespace margay
