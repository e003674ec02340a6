// Regular expressions as Hugging Face's tokenizers write them (Oniguruma, Ruby syntax), run by PCRE2.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace margay {

// A compiled expression; immutable, shared by threads.
class Regex {
 public:
  struct Span {
    size_t begin, end;  // bytes
  };

  // Throws Error naming `where` when the expression is not valid, or uses what the two engines read differently.
  Regex(std::string_view pattern, const std::string& where);
  // Matches this text literally.
  static Regex literal(std::string_view text, const std::string& where);

  // The first match at or after byte `start` of `text`, which must be valid UTF-8. Throws Error when the match limit
  // is exceeded.
  std::optional<Span> find(std::string_view text, size_t start) const;

  const std::string& pattern() const { return pattern_; }

 private:
  Regex() = default;
  void compile(const std::string& translated, const std::string& where);

  std::string pattern_;
  std::shared_ptr<void> code_;
};

// The expression in PCRE2's spelling: \h (a hex digit in Oniguruma), \s, \w, (?m), {,n}, \uXXXX. Throws Error on nested
// classes, class intersections and other constructs that PCRE2 lacks or reads differently.
std::string translate_oniguruma(std::string_view pattern, const std::string& where);

}  // namespace margay
