// Filters on text.
#include <algorithm>
#include <cctype>

#include "formats/jinja/builtins.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

// Most text filters take any value and print it first.
std::string printed(Call& call) {
  std::string text = to_text(call.heap, call.subject);
  call.heap.pass(text.size());
  return text;
}

Value capitalize(Call& call) { return call.string(capitalize_text(printed(call))); }
Value lower(Call& call) { return call.string(lower_text(printed(call))); }
Value upper(Call& call) { return call.string(upper_text(printed(call))); }
Value string(Call& call) { return call.subject.is_text() ? call.subject : call.string(printed(call)); }

// As Jinja's: a word begins after white space, a hyphen or an opening bracket.
Value title(Call& call) {
  std::string out, word;
  const auto finish = [&] {
    out += capitalize_text(word);
    word.clear();
  };
  for_each_character(printed(call), [&](std::string_view character) {
    const bool between = is_python_space(first_character(character)) || character.find_first_of("-({[<") == 0;
    if (between) finish();
    (between ? out : word) += character;
  });
  finish();
  return call.string(std::move(out));
}

Value center(Call& call) {
  std::string text = printed(call);
  const int64_t missing = call.whole(0, 80) - count_characters(text);
  if (missing <= 0) return call.string(std::move(text));
  call.heap.check_text(text.size() + static_cast<size_t>(missing));
  // Python's str.center: the odd space is on the left when the width is odd, too.
  const int64_t left = missing / 2 + (missing & call.whole(0, 80) & 1);
  return call.string(std::string(static_cast<size_t>(left), ' ') + text +
                     std::string(static_cast<size_t>(missing - left), ' '));
}

Value escape(Call& call) {
  std::string out;
  for (const char c : printed(call)) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&#34;";
    else if (c == '\'') out += "&#39;";
    else out += c;
  }
  return call.string(std::move(out));
}

Value format(Call& call) {
  if (!call.rest.named.empty()) {
    if (!call.rest.positional.empty()) refuse("format takes arguments with names or without, not both");
    std::vector<std::pair<Value, Value>> entries;
    for (auto& [name, value] : call.rest.named) entries.emplace_back(call.string(name), std::move(value));
    return call.string(percent_format(call.heap, printed(call), call.heap.dict(std::move(entries))));
  }
  const Value values = call.heap.list(std::move(call.rest.positional), Sequence::kTuple);
  return call.string(percent_format(call.heap, printed(call), values));
}

Value indent(Call& call) {
  std::string width = "    ";
  if (call.has(0) && call[0].is_text()) {
    width = call.text(0);
  } else if (call.has(0)) {
    const int64_t spaces = std::max<int64_t>(0, call.whole(0));
    call.heap.check_text(static_cast<size_t>(spaces));
    width = std::string(static_cast<size_t>(spaces), ' ');
  }
  const bool first = call.flag(1, false), blank = call.flag(2, false);
  const std::string text = call.subject_text() + "\n";
  std::string out = first ? width : "";
  bool begins = true;
  for (const std::string_view line : split_lines(text, false)) {
    if (!begins) out += '\n';
    if (!begins && (blank || !line.empty())) out += width;
    begins = false;
    out += line;
    call.heap.check_text(out.size());
  }
  return call.string(std::move(out));
}

Value replace(Call& call) {
  const std::string text = printed(call), from = to_text(call.heap, call[0]), to = to_text(call.heap, call[1]);
  return call.string(replace_text(text, from, to, call.given(2) ? call.whole(2) : -1,
                                  [&](size_t bytes) { call.heap.check_text(bytes); }));
}

Value trim(Call& call) {
  const std::string text = printed(call);
  std::optional<std::string_view> set;
  if (call.given(0)) set = call.text(0);
  return call.string(std::string(strip_text(text, set, true, true)));
}

Value truncate(Call& call) {
  const std::string& text = call.subject_text();
  const int64_t length = call.whole(0, 255), leeway = call.whole(3, 5), total = count_characters(text);
  const bool kill_words = call.flag(1, false);
  const std::string end = call.has(2) ? call.text(2) : "...";
  const int64_t room = length - count_characters(end);
  if (room < 0) refuse("truncate: {} characters have no room for the end", length);
  if (leeway < 0) refuse("truncate: leeway is {}, expected at least 0", leeway);
  if (total - leeway <= length) return call.subject;
  std::string cut = text.substr(0, byte_of_character(text, room));
  if (const size_t space = cut.rfind(' '); !kill_words && space != std::string::npos) cut.resize(space);
  return call.string(cut + end);
}

Value urlencode(Call& call) {
  const auto quoted = [&](const std::string& text, std::string_view safe) {
    std::string out;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (std::isalnum(byte) || std::string_view("_.-~").find(c) != std::string_view::npos ||
          safe.find(c) != std::string_view::npos)
        out += c;
      else out += fmt::format("%{:02X}", byte);
    }
    return out;
  };
  if (!call.subject.is<DictRef>()) return call.string(quoted(printed(call), "/"));
  const auto part = [&](const Value& value) {  // a form's: a space is a plus
    return replace_text(quoted(to_text(call.heap, value), ""), "%20", "+", -1, [](size_t) {});
  };
  std::string out;
  for (const auto& [key, value] : call.subject.get<DictRef>()->entries)
    out += (out.empty() ? "" : "&") + part(key) + "=" + part(value);
  return call.string(std::move(out));
}

Value wordcount(Call& call) {
  int64_t words = 0;
  bool inside = false;
  for_each_character(printed(call), [&](std::string_view character) {
    const bool letter = all_of_class(character, CharacterClass::kLetterOrDigit) || character == "_";
    words += letter && !inside;
    inside = letter;
  });
  return Value(words);
}

Value tojson(Call& call) {
  JsonStyle style;
  style.ascii = call.flag(0, false);
  if (call.given(1)) {
    if (call[1].is_text()) {
      style.indent = call.text(1);
    } else {
      const int64_t spaces = std::max<int64_t>(0, call.whole(1));
      call.heap.check_text(static_cast<size_t>(spaces));
      style.indent = std::string(static_cast<size_t>(spaces), ' ');
    }
    style.comma = ",";
  }
  if (call.given(2)) {
    const std::vector<Value> pair = iterate(call.heap, call[2]);
    if (pair.size() != 2 || !pair[0].is_text() || !pair[1].is_text())
      refuse("tojson: 'separators' is no pair of strings");
    style.comma = pair[0].text();
    style.colon = pair[1].text();
  }
  style.sort_keys = call.flag(3, false);
  return call.string(to_json(call.heap, call.subject, style));
}

constexpr Builtin kFilters[] = {
    {"capitalize", "", capitalize},
    {"center", "width?", center},
    {"escape e forceescape", "", escape},
    {"format", "**", format},
    {"indent", "width? first? blank?", indent},
    {"lower", "", lower},
    {"replace", "old new count?", replace},
    {"safe", "", string},  // nothing is escaped anyway
    {"string", "", string},
    {"title", "", title},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", tojson},
    {"trim", "chars?", trim},
    {"truncate", "length? killwords? end? leeway?", truncate},
    {"upper", "", upper},
    {"urlencode", "", urlencode},
    {"wordcount", "", wordcount},
};

}  // namespace

std::span<const Builtin> text_filters() { return kFilters; }

}  // namespace margay::jinja
