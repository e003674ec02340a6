#include "formats/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "formats/jinja/text.h"
#include "formats/jinja/value.h"
#include "formats/utf8.h"

namespace margay::jinja {
namespace {

constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                           "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

bool is_decimal(char c) { return c >= '0' && c <= '9'; }

// "\r\n" and "\r" become "\n"; one line end at the very end goes.
std::string normal_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    text += source[i] == '\r' ? '\n' : source[i];
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normal_lines(source)), text_(source_) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) {
      const size_t tag = find_tag(at_);
      if (tag == std::string_view::npos) {
        add(TokenKind::kText, std::string(text_.substr(at_)));
        break;
      }
      open_tag(tag);
    }
    at_ = text_.size();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  size_t find_tag(size_t from) const {
    for (size_t at = text_.find('{', from); at != std::string_view::npos; at = text_.find('{', at + 1))
      if (at + 1 < text_.size() && (text_[at + 1] == '{' || text_[at + 1] == '%' || text_[at + 1] == '#')) return at;
    return std::string_view::npos;
  }

  bool at(std::string_view spelled) const { return text_.substr(at_).starts_with(spelled); }
  bool skip(std::string_view spelled) {
    if (!at(spelled)) return false;
    at_ += spelled.size();
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && is_python_space(first_character(text_.substr(at_))))
      at_ += character_bytes(text_[at_]);
  }

  int line() {
    for (; counted_ < at_; ++counted_) line_ += text_[counted_] == '\n';
    return line_;
  }

  void add(TokenKind kind, std::string spelled) {
    const int where = line();
    if (kind != TokenKind::kText || !spelled.empty()) tokens_.push_back({kind, where, std::move(spelled)});
  }

  // The text from at_ to a tag at `end`, whose sign is '-', '+' or something else.
  void add_text_before(size_t end, char sign, bool block) {
    std::string_view text = text_.substr(at_, end - at_);
    if (sign == '-') {
      text = strip_text(text, {}, false, true);
    } else if (sign != '+' && block) {  // lstrip_blocks: white space between the line's beginning and the tag
      const size_t line_begin = text.rfind('\n') + 1;  // 0 where there is none
      const bool begins_line = line_begin > 0 || at_ == 0 || text_[at_ - 1] == '\n';
      if (begins_line && strip_text(text.substr(line_begin), {}, true, false).empty())
        text = text.substr(0, line_begin);
    }
    add(TokenKind::kText, std::string(text));
  }

  // Closes a block tag or a comment ("%}" or "#}") with its sign, and takes the line end after it (trim_blocks).
  bool skip_end(std::string_view end) {
    const size_t before = at_;
    const char sign = at("-") || at("+") ? text_[at_++] : ' ';
    if (!skip(end)) {
      at_ = before;
      return false;
    }
    if (sign == '-') skip_space();
    else if (sign != '+' && end != "}}") skip("\n");
    return true;
  }

  void open_tag(size_t tag) {
    const char kind = text_[tag + 1], sign = tag + 2 < text_.size() ? text_[tag + 2] : ' ';
    add_text_before(tag, sign, kind != '{');
    at_ = tag + (sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') return comment();
    if (kind == '%' && raw()) return;
    add(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    inside(kind == '{' ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, kind == '{' ? "}}" : "%}");
  }

  void comment() {
    const int begin = line();
    const size_t end = text_.find("#}", at_);
    if (end == std::string_view::npos) refuse_at(begin, "a comment has no end");
    at_ = end > at_ && (text_[end - 1] == '-' || text_[end - 1] == '+') ? end - 1 : end;
    skip_end("#}");
  }

  // {% raw %} text {% endraw %}; false when the tag is another one.
  bool raw() {
    const int begin = line();
    const size_t before = at_;
    skip_space();
    bool is_raw = skip("raw");
    skip_space();
    if (is_raw && skip("-%}")) skip_space();
    else is_raw = is_raw && skip("%}");
    if (!is_raw) {
      at_ = before;
      return false;
    }
    const size_t inner = at_;
    for (size_t tag = text_.find("{%", inner); tag != std::string_view::npos; tag = text_.find("{%", tag + 1)) {
      at_ = tag + 2;
      const char sign = at("-") || at("+") ? text_[at_++] : ' ';
      skip_space();
      if (!skip("endraw")) continue;
      skip_space();
      const size_t end = at_;
      if (!skip_end("%}")) continue;
      const size_t after = at_;
      at_ = inner;
      add_text_before(tag, sign, true);
      at_ = std::max(end, after);
      return true;
    }
    refuse_at(begin, "raw has no endraw");
  }

  void inside(TokenKind end_kind, std::string_view end) {
    const int begin = line();
    std::string brackets;  // the closing ones that are due
    for (;;) {
      skip_space();
      if (at_ >= text_.size()) refuse_at(begin, "a tag has no end: {} is missing", end);
      if (brackets.empty()) {
        const size_t before = at_;
        if (!(end == "}}" && at("+")) && skip_end(end)) {
          const size_t after = std::exchange(at_, before);
          add(end_kind, "");
          at_ = after;
          return;
        }
      }
      token(brackets);
    }
  }

  void token(std::string& brackets) {
    const char c = text_[at_];
    if (is_decimal(c)) return number();
    if (c == '\'' || c == '"') return string(c);
    if (is_word_character(first_character(text_.substr(at_)))) {
      const size_t begin = at_;
      size_t end = at_;
      while (end < text_.size() && is_word_character(first_character(text_.substr(end))))
        end += character_bytes(text_[end]);
      add(TokenKind::kName, std::string(text_.substr(begin, end - begin)));
      at_ = end;
      return;
    }
    const auto found = std::find_if(std::begin(kOperators), std::end(kOperators), [&](auto op) { return at(op); });
    if (found == std::end(kOperators))
      refuse_at(line(), "unexpected character '{}'", text_.substr(at_, character_bytes(c)));
    constexpr std::string_view kOpen = "([{", kClose = ")]}";
    if (found->size() == 1 && kOpen.find(c) != std::string_view::npos) brackets += kClose[kOpen.find(c)];
    if (found->size() == 1 && kClose.find(c) != std::string_view::npos) {
      if (brackets.empty()) refuse_at(line(), "unexpected '{}'", c);
      if (brackets.back() != c) refuse_at(line(), "unexpected '{}', expected '{}'", c, brackets.back());
      brackets.pop_back();
    }
    add(TokenKind::kOperator, std::string(*found));
    at_ += found->size();
  }

  size_t digits_end(size_t at) const {
    while (at < text_.size() && (is_decimal(text_[at]) || text_[at] == '_')) ++at;
    return at;
  }

  void number() {
    const size_t begin = at_;
    if (text_[begin] == '0' && begin + 1 < text_.size() &&
        std::string_view("xXoObB").find(text_[begin + 1]) != std::string_view::npos) {
      size_t end = begin + 2;
      while (end < text_.size() && (isxdigit(static_cast<unsigned char>(text_[end])) || text_[end] == '_')) ++end;
      add(TokenKind::kInteger, std::string(text_.substr(begin, end - begin)));
      at_ = end;
      return;
    }
    size_t end = digits_end(begin);
    bool is_float = false;
    const bool after_dot = begin > 0 && text_[begin - 1] == '.';  // a.0.1 is two subscripts
    if (!after_dot && end + 1 < text_.size() && text_[end] == '.' && is_decimal(text_[end + 1])) {
      end = digits_end(end + 1);
      is_float = true;
    }
    if (!after_dot && end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      const size_t sign = end + 1 < text_.size() && (text_[end + 1] == '+' || text_[end + 1] == '-') ? 1 : 0;
      if (end + 1 + sign < text_.size() && is_decimal(text_[end + 1 + sign])) {
        end = digits_end(end + 1 + sign);
        is_float = true;
      }
    }
    std::string digits(text_.substr(begin, end - begin));
    std::erase(digits, '_');
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(digits));
    at_ = end;
  }

  void string(char quote) {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) refuse_at(line(), "a string has no end");
    add(TokenKind::kString, unescape(text_.substr(at_ + 1, end - at_ - 1)));
    at_ = end + 1;
  }

  // Python's escapes; one that it does not know stands for itself.
  std::string unescape(std::string_view text) {
    constexpr std::string_view kNames = "\\'\"abfnrtv", kMeanings = "\\'\"\a\b\f\n\r\t\v";
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char name = text[++i];
      const size_t known = kNames.find(name);
      const size_t hex = name == 'x' ? 2 : name == 'u' ? 4 : name == 'U' ? 8 : 0;
      if (known != std::string_view::npos) out += kMeanings[known];
      else if (name == '\n') continue;
      else if (hex) code_point(out, text.substr(i + 1, hex), hex, 16), i += hex;
      else if (name >= '0' && name <= '7') {
        size_t length = 1;
        while (length < 3 && i + length < text.size() && text[i + length] >= '0' && text[i + length] <= '7') ++length;
        code_point(out, text.substr(i, length), length, 8);
        i += length - 1;
      } else (out += '\\') += name;
    }
    return out;
  }

  void code_point(std::string& out, std::string_view digits, size_t length, int base) {
    const std::string prefix = base == 16 ? "0x" : "0o";
    const bool all = digits.size() == length &&
                     std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return isxdigit(c); });
    const auto value = all ? parse_whole(prefix + std::string(digits), base) : std::nullopt;
    if (!value || *value > 0x10FFFF || (*value >= 0xD800 && *value < 0xE000))
      refuse_at(line(), "'{}' in a string's escape is no character", digits);
    append_utf8(out, static_cast<uint32_t>(*value));
  }

  std::string source_;
  std::string_view text_;
  size_t at_ = 0;
  size_t counted_ = 0;  // bytes whose line ends are in line_
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace margay::jinja
