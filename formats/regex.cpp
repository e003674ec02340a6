#include "formats/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cctype>

#include "base/error.h"

namespace margay {
namespace {

constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimit = 256 << 10;  // KiB
constexpr size_t kMaxPattern = 64 << 10;    // bytes

// Unicode's White_Space: PCRE2's own \s has U+180E besides.
constexpr std::string_view kSpace = R"(\t-\r\x{85}\p{Z})";
constexpr std::string_view kWord = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc})";
constexpr std::string_view kHexDigit = "0-9a-fA-F";

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  std::string run() {
    bool at_start = true;  // of a group or an alternative
    while (!done()) {
      const char c = pattern_[place_];
      if (c == '(') {
        at_start = group(at_start);
        continue;
      }
      if (c == '\\') escape(false);
      else if (c == '[') bracket();
      else if (c == '{') interval();
      else copy(1);
      at_start = c == '|';
    }
    return std::move(out_);
  }

 private:
  bool done() const { return place_ >= pattern_.size(); }
  char peek(size_t ahead = 0) const { return place_ + ahead < pattern_.size() ? pattern_[place_ + ahead] : '\0'; }
  void copy(size_t count) {
    out_ += pattern_.substr(place_, count);
    place_ += count;
  }
  void replace(size_t count, std::string_view text) {
    out_ += text;
    place_ += count;
  }

  [[noreturn]] void refuse(std::string_view what) const {
    fail("{}: the regular expression {} uses {}, which margay does not support yet", where_, pattern_, what);
  }

  // \x inside or outside a class.
  void escape(bool in_class) {
    const char c = peek(1);
    const auto set = [&](std::string_view members) {
      if (in_class) replace(2, members);
      else replace(2, fmt::format("[{}]", members));
    };
    const auto negated = [&](std::string_view members, char plain) {
      if (!in_class) replace(2, fmt::format("[^{}]", members));
      else if (plain == 'S') copy(2);  // PCRE2's \S differs by U+180E only
      else refuse(fmt::format("\\{} in a class", plain));
    };
    switch (c) {
      case 'h':
        return set(kHexDigit);
      case 's':
        return set(kSpace);
      case 'w':
        return set(kWord);
      case 'H':
        return negated(kHexDigit, c);
      case 'S':
        return negated(kSpace, c);
      case 'W':
        return negated(kWord, c);
      case 'u':
        if (pattern_.size() - place_ < 6) refuse("\\u without four digits");
        return replace(6, fmt::format("\\x{{{}}}", pattern_.substr(place_ + 2, 4)));
      case 'p':
      case 'P': {
        const size_t close = pattern_.find('}', place_);
        if (peek(2) != '{' || close == std::string_view::npos) refuse(fmt::format("\\{} without braces", c));
        return copy(close + 1 - place_);
      }
      case 'x': {
        const size_t close = pattern_.find('}', place_);
        if (peek(2) == '{' && close != std::string_view::npos) return copy(close + 1 - place_);
        return copy(2);
      }
      case '\0':
        refuse("a lone backslash at its end");
      default:
        if (std::isalpha(static_cast<unsigned char>(c)) &&
            std::string_view("tvnrfaedDbBAzZGkR").find(c) == std::string_view::npos)
          refuse(fmt::format("\\{}", c));
        return copy(2);
    }
  }

  void bracket() {
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') refuse("an empty class or a class that begins with ]");
    while (peek() != ']') {
      if (done()) refuse("a class without its ]");
      if (peek() == '[') {
        const size_t close = pattern_.find(":]", place_);
        if (peek(1) != ':' || close == std::string_view::npos) refuse("a class inside a class");
        copy(close + 2 - place_);
      } else if (peek() == '&' && peek(1) == '&') {
        refuse("an intersection of classes (&&)");
      } else if (peek() == '\\') {
        escape(true);
      } else {
        copy(1);
      }
    }
    copy(1);
  }

  // {n,m}: what follows it means other things in Ruby's syntax than in PCRE2's.
  void interval() {
    size_t i = place_ + 1;
    while (i < pattern_.size() && (std::isdigit(static_cast<unsigned char>(pattern_[i])) || pattern_[i] == ',')) ++i;
    if (i == place_ + 1 || i >= pattern_.size() || pattern_[i] != '}') return copy(1);  // a literal brace
    const std::string_view body = pattern_.substr(place_ + 1, i - place_ - 1);
    if (body == ",") return copy(1);
    const bool exact = body.find(',') == std::string_view::npos;
    const char next = i + 1 < pattern_.size() ? pattern_[i + 1] : '\0';
    if (next == '+' || (next == '?' && exact)) refuse(fmt::format("{{{}}}{}", body, next));
    replace(i + 1 - place_, fmt::format("{{{}{}}}", body.front() == ',' ? "0" : "", body));
  }

  // An opening parenthesis with what belongs to it. Returns whether a group or alternative begins after it.
  bool group(bool at_start) {
    if (peek(1) != '?') {
      copy(1);
      return true;
    }
    for (const std::string_view opening : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (!pattern_.substr(place_).starts_with(opening)) continue;
      copy(opening.size());
      return true;
    }
    size_t i = place_ + 2;
    while (i < pattern_.size() && std::string_view("imx-").find(pattern_[i]) != std::string_view::npos) ++i;
    const char end = i < pattern_.size() ? pattern_[i] : '\0';
    if (i == place_ + 2 || (end != ':' && end != ')')) refuse(fmt::format("the group {}", pattern_.substr(place_, 4)));
    if (end == ')' && !at_start) refuse("options in the middle of a group");
    for (; place_ <= i; ++place_) out_ += pattern_[place_] == 'm' ? 's' : pattern_[place_];  // Ruby's m: . takes \n
    return true;
  }

  std::string_view pattern_;
  const std::string& where_;
  size_t place_ = 0;
  std::string out_;
};

// What a thread needs to match: one pair of offsets is enough for every expression.
struct Scratch {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 << 10, 1 << 20, nullptr);

  Scratch() {
    require(data && context && stack, "out of memory for regular expressions");
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimit);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Scratch() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

std::string error_text(int code) {
  unsigned char text[256];
  return pcre2_get_error_message(code, text, sizeof text) < 0 ? fmt::format("error {}", code)
                                                              : reinterpret_cast<const char*>(text);
}

}  // namespace

std::string translate_oniguruma(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

Regex::Regex(std::string_view pattern, const std::string& where) : pattern_(pattern) {
  require(pattern.size() <= kMaxPattern, "{}: a regular expression of {} bytes, at most {} are allowed", where,
          pattern.size(), kMaxPattern);
  compile(translate_oniguruma(pattern, where), where);
}

Regex Regex::literal(std::string_view text, const std::string& where) {
  require(!text.empty() && text.size() <= kMaxPattern, "{}: a pattern of {} bytes, expected 1 to {}", where,
          text.size(), kMaxPattern);
  Regex regex;
  std::string escaped;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c)) && c != '\0')
      escaped += '\\';
    escaped += c;
  }
  regex.pattern_ = escaped;
  regex.compile(escaped, where);
  return regex;
}

void Regex::compile(const std::string& translated, const std::string& where) {
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  require(context != nullptr, "out of memory for regular expressions");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t place = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &place, context.get());
  require(code != nullptr, "{}: the regular expression {} is not valid: {} at byte {}", where, translated,
          error_text(error), place);
  code_ = std::shared_ptr<void>(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT, the interpreter gives the same answers
}

std::optional<Regex::Span> Regex::find(std::string_view text, size_t start) const {
  static thread_local Scratch scratch;
  const auto match = [&](uint32_t options) {
    return pcre2_match(static_cast<const pcre2_code*>(code_.get()), reinterpret_cast<PCRE2_SPTR>(text.data()),
                       text.size(), start, PCRE2_NO_UTF_CHECK | options, scratch.data, scratch.context);
  };
  int found = match(0);
  // A group that repeats through a very long word: the interpreter keeps its places on the heap.
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  require(found >= 0, "the tokenizer's regular expression {} failed at byte {} of the text: {}", pattern_, start,
          error_text(found));
  const size_t* offsets = pcre2_get_ovector_pointer(scratch.data);
  // \K can place the beginning behind the end; no tokenizer means that.
  require(offsets[0] <= offsets[1] && offsets[0] >= start, "the tokenizer's regular expression {} matches backwards",
          pattern_);
  return Span{offsets[0], offsets[1]};
}

}  // namespace margay
