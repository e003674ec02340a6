// Python's text % values and text.format(...).
#include <algorithm>
#include <charconv>

#include "formats/jinja/builtins.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

constexpr int64_t kMaxWidth = 10'000;

// One directive of "%-08.3f".
struct Directive {
  bool left = false, zero = false, sign = false, space = false;
  int64_t width = 0, precision = -1;
  char type = 's';
};

class PercentFormat {
 public:
  PercentFormat(Heap& heap, std::string_view format, const Value& values)
      : heap_(heap), rest_(format), values_(values) {
    tuple_ = values.is<ListRef>() && values.get<ListRef>()->kind == Sequence::kTuple;
  }

  std::string run() {
    std::string out;
    for (size_t at; (at = rest_.find('%')) != std::string_view::npos;) {
      out += rest_.substr(0, at);
      rest_.remove_prefix(at + 1);
      if (skip('%')) out += '%';
      else out += directive();
      heap_.step();
      heap_.check_text(out.size());
    }
    out += rest_;
    if (!values_.is<DictRef>() && used_ < (tuple_ ? values_.items().size() : 1)) refuse("%: not all values are used");
    return out;
  }

 private:
  bool skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  int64_t number() {
    if (skip('*')) refuse("%: a width of * is not there");
    int64_t value = 0;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9' && value <= kMaxWidth) {
      value = value * 10 + (rest_[0] - '0');
      rest_.remove_prefix(1);
    }
    if (value > kMaxWidth) refuse("%: a width above {}", kMaxWidth);
    return value;
  }

  std::string directive() {
    std::optional<Value> value;
    if (skip('(')) {
      const size_t end = rest_.find(')');
      if (end == std::string_view::npos || !values_.is<DictRef>()) refuse("%: a name in brackets needs a dict");
      const Value* found = values_.get<DictRef>()->find(rest_.substr(0, end));
      if (!found) refuse("%: there is no '{}'", rest_.substr(0, end));
      value = *found;
      rest_.remove_prefix(end + 1);
    }
    Directive how;
    for (bool more = true; more;) {
      if (skip('-')) how.left = true;
      else if (skip('0')) how.zero = true;
      else if (skip('+')) how.sign = true;
      else if (skip(' ')) how.space = true;
      else more = skip('#');
    }
    how.width = number();
    if (skip('.')) how.precision = number();
    if (rest_.empty()) refuse("%: the format ends within a directive");
    how.type = rest_[0];
    rest_.remove_prefix(1);
    return padded(how, text_of(how, value ? *value : next()));
  }

  Value next() {
    if (tuple_ ? used_ >= values_.items().size() : used_ > 0) refuse("%: there are too few values");
    return tuple_ ? values_.items()[used_++] : (++used_, values_);
  }

  std::string text_of(const Directive& how, const Value& value) {
    if (how.type == 's' || how.type == 'r') {
      std::string text = how.type == 's' ? to_text(heap_, value) : to_repr(heap_, value);
      if (how.precision >= 0) text.resize(byte_of_character(text, how.precision));
      return text;
    }
    if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
    if (std::string_view("diuxXofFeEgG").find(how.type) == std::string_view::npos)
      refuse("%: '{}' is no type", how.type);
    if (!value.is_number()) refuse("%{}: {}, expected a number", how.type, type_name(value));
    const std::string sign = how.sign ? "+" : how.space ? " " : "";
    std::string text;
    if (std::string_view("fFeEgG").find(how.type) != std::string_view::npos) {
      const std::string spec = fmt::format("{{:.{}{}}}", how.precision < 0 ? 6 : how.precision, how.type);
      text = fmt::format(fmt::runtime(spec), value.number());
    } else {
      if (!value.is_whole() && how.type != 'd' && how.type != 'i' && how.type != 'u')
        refuse("%{}: {}, expected an integer", how.type, type_name(value));
      const double number = value.number();
      if (!(number > -9.2e18 && number < 9.2e18) && !value.is_whole()) refuse("%d: {} does not fit 64 bits", number);
      const int64_t whole = value.is_whole() ? value.whole() : static_cast<int64_t>(number);
      const char type = how.type == 'i' || how.type == 'u' ? 'd' : how.type;
      text = fmt::format(fmt::runtime(fmt::format("{{:{}}}", type)), whole);
    }
    return text.starts_with('-') ? text : sign + text;
  }

  static std::string padded(const Directive& how, std::string text) {
    const int64_t missing = how.width - count_characters(text);
    if (missing <= 0) return text;
    const auto fill = static_cast<size_t>(missing);
    if (how.left) return text + std::string(fill, ' ');
    const bool zeros = how.zero && how.type != 's' && how.type != 'r';
    const size_t sign = zeros && !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ') ? 1 : 0;
    return text.substr(0, sign) + std::string(fill, zeros ? '0' : ' ') + text.substr(sign);
  }

  Heap& heap_;
  std::string_view rest_;
  const Value& values_;
  bool tuple_ = false;
  size_t used_ = 0;
};

}  // namespace

std::string percent_format(Heap& heap, std::string_view format, const Value& values) {
  return PercentFormat(heap, format, values).run();
}

std::string brace_format(Heap& heap, std::string_view format, const Arguments& arguments) {
  std::string out;
  size_t next = 0;
  const auto field = [&](std::string_view name) -> const Value& {
    size_t index = 0;
    const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool number = error == std::errc() && rest == name.data() + name.size();
    if (name.empty()) index = next++;
    if ((name.empty() || number) && index < arguments.positional.size()) return arguments.positional[index];
    for (const auto& [key, value] : arguments.named)
      if (key == name && !name.empty()) return value;
    refuse("format: there is no value for {{{}}}", name);
  };
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      out += format[++i];
    } else if (c == '{') {
      const size_t end = format.find('}', i);
      if (end == std::string_view::npos) refuse("format: a field has no end");
      std::string_view name = format.substr(i + 1, end - i - 1);
      const bool repr = name.ends_with("!r");
      if (repr || name.ends_with("!s")) name.remove_suffix(2);
      if (name.find_first_of(":![.") != std::string_view::npos)
        refuse("format: only plain fields are there, not {{{}}}", name);
      const Value& value = field(name);
      out += repr ? to_repr(heap, value) : to_text(heap, value);
      i = end;
    } else if (c == '}') {
      refuse("format: a single '}}'");
    } else {
      out += c;
    }
    heap.check_text(out.size());
  }
  return out;
}

}  // namespace margay::jinja
