// Methods of strings, dicts and lists: Python's that change nothing.
#include <algorithm>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

std::optional<std::string_view> optional_text(Call& call, size_t parameter) {
  return call.given(parameter) ? std::optional<std::string_view>(call.text(parameter)) : std::nullopt;
}

// A string's part between the bounds in characters that find, count, startswith... take.
struct Part {
  std::string_view text;
  int64_t start = 0;
  bool exists = true;
};
Part part_of(Call& call, size_t first_parameter) {
  const std::string_view text = call.subject_text();
  if (!call.given(first_parameter) && !call.given(first_parameter + 1)) return {text};
  const int64_t length = count_characters(text);
  const auto bound = [&](size_t parameter, int64_t otherwise) {
    const int64_t value = call.whole(parameter, otherwise);
    return value < 0 ? std::max<int64_t>(0, std::max(value, -length) + length) : value;
  };
  const int64_t start = bound(first_parameter, 0), stop = std::min(length, bound(first_parameter + 1, length));
  if (start > stop) return {{}, start, false};
  const size_t begin = byte_of_character(text, start);
  return {text.substr(begin, byte_of_character(text.substr(begin), stop - start)), start};
}

int64_t position(Call& call, bool from_right) {
  const Part part = part_of(call, 1);
  const std::string& wanted = call.text(0);
  const size_t at = from_right ? part.text.rfind(wanted) : part.text.find(wanted);
  if (!part.exists || at == std::string_view::npos) return -1;
  return part.start + count_characters(part.text.substr(0, at));
}

Value existing(int64_t position) {
  if (position < 0) refuse("the text that index() looks for is not there");
  return Value(position);
}

Value find(Call& call) { return Value(position(call, false)); }
Value rfind(Call& call) { return Value(position(call, true)); }
Value index(Call& call) { return existing(position(call, false)); }
Value rindex(Call& call) { return existing(position(call, true)); }

Value count(Call& call) {
  const Part part = part_of(call, 1);
  const std::string& wanted = call.text(0);
  if (!part.exists) return Value(int64_t{0});
  if (wanted.empty()) return Value(count_characters(part.text) + 1);
  int64_t found = 0;
  for (size_t at = 0; (at = part.text.find(wanted, at)) != std::string_view::npos; at += wanted.size()) ++found;
  return Value(found);
}

// The argument is one text, or a tuple of several.
Value has_end(Call& call, bool at_start) {
  const Part part = part_of(call, 1);
  std::vector<Value> ends = {call[0]};
  if (call[0].is<ListRef>() && call[0].get<ListRef>()->kind == Sequence::kTuple) ends = call[0].items();
  for (const Value& end : ends) {
    if (end.is_undefined()) refuse("{}", *end.get<Undefined>().why);
    if (!end.is_text()) refuse("startswith and endswith look for {}, expected a string", type_name(end));
    if (part.exists && (at_start ? part.text.starts_with(end.text()) : part.text.ends_with(end.text())))
      return Value(true);
  }
  return Value(false);
}
Value startswith(Call& call) { return has_end(call, true); }
Value endswith(Call& call) { return has_end(call, false); }

Value stripped(Call& call, bool left, bool right) {
  return call.string(std::string(strip_text(call.subject_text(), optional_text(call, 0), left, right)));
}
Value strip(Call& call) { return stripped(call, true, true); }
Value lstrip(Call& call) { return stripped(call, true, false); }
Value rstrip(Call& call) { return stripped(call, false, true); }

Value split_by(Call& call, bool from_right) {
  const auto separator = optional_text(call, 0);
  if (separator && separator->empty()) refuse("split by an empty text");
  const int64_t limit = call.whole(1, -1);
  return call.list((from_right ? split_text_from_right : split_text)(call.subject_text(), separator, limit));
}
Value split(Call& call) { return split_by(call, false); }
Value rsplit(Call& call) { return split_by(call, true); }
Value splitlines(Call& call) { return call.list(split_lines(call.subject_text(), call.flag(0, false))); }

Value partition_by(Call& call, bool from_right) {
  const std::string& text = call.subject_text();
  const std::string& separator = call.text(0);
  if (separator.empty()) refuse("partition by an empty text");
  const size_t at = from_right ? text.rfind(separator) : text.find(separator);
  std::vector<Value> parts;
  if (at == std::string::npos) {
    parts = {call.string(""), call.string(""), call.string("")};
    parts[from_right ? 2 : 0] = call.subject;
  } else {
    parts = {call.string(text.substr(0, at)), call[0], call.string(text.substr(at + separator.size()))};
  }
  return call.heap.list(std::move(parts), Sequence::kTuple);
}
Value partition(Call& call) { return partition_by(call, false); }
Value rpartition(Call& call) { return partition_by(call, true); }

Value replace(Call& call) {
  return call.string(replace_text(call.subject_text(), call.text(0), call.text(1), call.whole(2, -1),
                                  [&](size_t bytes) { call.heap.check_text(bytes); }));
}

Value removeprefix(Call& call) {
  const std::string &text = call.subject_text(), &prefix = call.text(0);
  return call.string(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}
Value removesuffix(Call& call) {
  const std::string &text = call.subject_text(), &suffix = call.text(0);
  return call.string(text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text);
}

Value join(Call& call) {
  const std::string& between = call.subject_text();
  std::string text;
  bool first = true;
  for (const Value& item : iterate(call.heap, call[0])) {
    if (!item.is_text()) refuse("join of {}, expected strings", type_name(item));
    if (!std::exchange(first, false)) text += between;
    text += item.text();
    call.heap.check_text(text.size());
  }
  return call.string(std::move(text));
}

// Filled up to a width: `left_share` of 2 in front.
Value justified(Call& call, int left_share) {
  const std::string& text = call.subject_text();
  const std::string fill = call.has(1) ? call.text(1) : " ";
  if (count_characters(fill) != 1) refuse("the fill is '{}', expected one character", fill);
  const int64_t width = call.whole(0), missing = width - count_characters(text);
  if (missing <= 0) return call.subject;
  if (static_cast<size_t>(missing) > call.heap.limits().text / fill.size()) call.heap.check_text(SIZE_MAX);
  const int64_t left = left_share == 1 ? missing / 2 + (missing & width & 1) : left_share * missing / 2;
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += fill;
  return call.string(std::move(out));
}
Value ljust(Call& call) { return justified(call, 0); }
Value center(Call& call) { return justified(call, 1); }
Value rjust(Call& call) { return justified(call, 2); }

Value zfill(Call& call) {
  const std::string& text = call.subject_text();
  const int64_t missing = call.whole(0) - count_characters(text);
  if (missing <= 0) return call.subject;
  call.heap.check_text(static_cast<size_t>(missing));
  const size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  return call.string(text.substr(0, sign) + std::string(static_cast<size_t>(missing), '0') + text.substr(sign));
}

Value format(Call& call) { return call.string(brace_format(call.heap, call.subject_text(), call.rest)); }

Value lower(Call& call) { return call.string(lower_text(call.subject_text())); }
Value upper(Call& call) { return call.string(upper_text(call.subject_text())); }
Value capitalize(Call& call) { return call.string(capitalize_text(call.subject_text())); }
Value title(Call& call) { return call.string(title_text(call.subject_text())); }

template <CharacterClass kClass>
Value is_class(Call& call) {
  return Value(all_of_class(call.subject_text(), kClass));
}
Value islower(Call& call) { return Value(is_lower_text(call.subject_text())); }
Value isupper(Call& call) { return Value(is_upper_text(call.subject_text())); }

constexpr Builtin kStringMethods[] = {
    {"capitalize", "", capitalize},
    {"center", "width fillchar?", center},
    {"count", "sub start? end?", count},
    {"endswith", "suffix start? end?", endswith},
    {"find", "sub start? end?", find},
    {"format", "**", format},
    {"index", "sub start? end?", index},
    {"isalnum", "", is_class<CharacterClass::kLetterOrDigit>},
    {"isalpha", "", is_class<CharacterClass::kLetter>},
    {"isdigit isdecimal isnumeric", "", is_class<CharacterClass::kDigit>},
    {"islower", "", islower},
    {"isspace", "", is_class<CharacterClass::kSpace>},
    {"isupper", "", isupper},
    {"join", "iterable", join},
    {"ljust", "width fillchar?", ljust},
    {"lower casefold", "", lower},
    {"lstrip", "chars?", lstrip},
    {"partition", "sep", partition},
    {"removeprefix", "prefix", removeprefix},
    {"removesuffix", "suffix", removesuffix},
    {"replace", "old new count?", replace},
    {"rfind", "sub start? end?", rfind},
    {"rindex", "sub start? end?", rindex},
    {"rjust", "width fillchar?", rjust},
    {"rpartition", "sep", rpartition},
    {"rsplit", "sep? maxsplit?", rsplit},
    {"rstrip", "chars?", rstrip},
    {"split", "sep? maxsplit?", split},
    {"splitlines", "keepends?", splitlines},
    {"startswith", "prefix start? end?", startswith},
    {"strip", "chars?", strip},
    {"title", "", title},
    {"upper", "", upper},
    {"zfill", "width", zfill},
};

const Dict& dict_of(Call& call) { return *call.subject.get<DictRef>(); }

Value get(Call& call) {
  const Value* found = dict_of(call).find(call[0]);
  return found ? *found : call.has(1) ? call[1] : Value(None{});
}

Value keys(Call& call) { return call.heap.list(iterate(call.heap, call.subject), Sequence::kView); }

Value values(Call& call) {
  std::vector<Value> all;
  for (const auto& [key, value] : dict_of(call).entries) all.push_back(value);
  return call.heap.list(std::move(all), Sequence::kView);
}

Value items(Call& call) {
  std::vector<Value> all;
  for (const auto& [key, value] : dict_of(call).entries) all.push_back(call.heap.list({key, value}, Sequence::kTuple));
  return call.heap.list(std::move(all), Sequence::kView);
}

Value copy(Call& call) { return call.subject; }  // nothing can change it

constexpr Builtin kDictMethods[] = {
    {"copy", "", copy}, {"get", "key default?", get}, {"items", "", items}, {"keys", "", keys}, {"values", "", values},
};

Value count_item(Call& call) {
  int64_t found = 0;
  for (const Value& item : call.subject.items()) found += equal(call.heap, item, call[0]);
  return Value(found);
}

Value index_of_item(Call& call) {
  const auto& all = call.subject.items();
  for (size_t i = 0; i < all.size(); ++i)
    if (equal(call.heap, all[i], call[0])) return Value(static_cast<int64_t>(i));
  refuse("the item that index() looks for is not in the list");
}

constexpr Builtin kListMethods[] = {
    {"copy", "", copy},
    {"count", "value", count_item},
    {"index", "value", index_of_item},
};

}  // namespace

std::span<const Builtin> string_methods() { return kStringMethods; }
std::span<const Builtin> dict_methods() { return kDictMethods; }
std::span<const Builtin> list_methods() { return kListMethods; }

}  // namespace margay::jinja
