// The normalizer of a tokenizer.json: Unicode forms, case, spaces, replacements.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/regex.h"

namespace margay {

class Normalizer {
 public:
  Normalizer() = default;
  // Throws Error naming `where` on a kind that is not supported.
  Normalizer(const nlohmann::json& json, const std::string& where);

  bool empty() const { return steps_.empty(); }
  std::string apply(std::string_view text) const;  // text is valid UTF-8

 private:
  struct Step {
    enum Kind { NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace } kind;
    std::string text = {};              // of Prepend and Replace
    std::optional<Regex> pattern = {};  // of Replace
    bool left = false, right = false;   // of Strip
  };
  void add(const nlohmann::json& json, const std::string& where, int depth);
  static std::string apply_step(const Step& step, std::string_view text);

  std::vector<Step> steps_;
};

}  // namespace margay
