// Filters, tests, functions and methods: tables with a row for each.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/value.h"

namespace margay::jinja {

class Call;

struct Builtin {
  std::string_view names;  // one, or several separated by spaces
  // Parameters in order, separated by spaces. "name?": may be absent. A last "*": any number of further arguments;
  // "**": of named ones too.
  std::string_view parameters;
  Value (*run)(Call& call);
};

// A call of a builtin, its arguments by parameter.
class Call {
 public:
  // Throws Failure when an argument is missing, or one does not belong there.
  Call(Interpreter& interpreter, const Builtin& builtin, Value subject, Arguments arguments);

  Interpreter& interpreter;
  Heap& heap;
  Value subject;   // what the filter or test is applied to, the object of a method
  Arguments rest;  // of "*" and "**"

  bool has(size_t parameter) const { return values_[parameter].has_value(); }
  bool given(size_t parameter) const { return has(parameter) && !values_[parameter]->is_none(); }  // and not none
  const Value& operator[](size_t parameter) const { return *values_[parameter]; }
  // Arguments and subject of a type; throw Failure, naming the parameter, for another one.
  const std::string& text(size_t parameter) const;
  int64_t whole(size_t parameter, int64_t otherwise = 0) const;
  bool flag(size_t parameter, bool otherwise) const { return has(parameter) ? truth((*this)[parameter]) : otherwise; }
  const std::string& subject_text() const;
  Value string(std::string text) const { return heap.string(std::move(text)); }
  Value list(const std::vector<std::string_view>& texts) const;

 private:
  std::string_view name_;
  std::vector<std::string_view> parameters_;
  std::vector<std::optional<Value>> values_;
};

// nullptr when there is none of this name.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
const Builtin* find_function(std::string_view name);
// A method of a string, dict or list.
const Builtin* find_method(const Value& object, std::string_view name);
const Builtin* find_in(std::span<const Builtin> table, std::string_view name);
Value run(Interpreter& interpreter, const Builtin& builtin, const Value& subject, Arguments arguments);

// The rows, by file. Filters and tests are the documented ones of Jinja.
std::span<const Builtin> text_filters();
std::span<const Builtin> sequence_filters();
std::span<const Builtin> choice_filters();
std::span<const Builtin> number_filters();
std::span<const Builtin> tests();
std::span<const Builtin> functions();
std::span<const Builtin> string_methods();
std::span<const Builtin> dict_methods();
std::span<const Builtin> list_methods();

// item.a.b.0 of "a.b.0", as the attribute arguments of map, sort, groupby... mean it.
Value attribute_path(Interpreter& interpreter, const Value& item, const Value& path);
// Python's text % values, with values a tuple, a dict or one value.
std::string percent_format(Heap& heap, std::string_view format, const Value& values);
// Python's text.format(...): fields {}, {0} and {name}, with !s or !r. Throws Failure for what follows a colon.
std::string brace_format(Heap& heap, std::string_view format, const Arguments& arguments);
// json.dumps(value): non-ASCII text as it is. Throws Failure for what is no JSON.
struct JsonStyle {
  std::optional<std::string> indent;  // nullopt: all on one line
  std::string comma = ", ", colon = ": ";
  bool sort_keys = false, ascii = false;
};
std::string to_json(Heap& heap, const Value& value, const JsonStyle& style);
Value value_from_json(Heap& heap, const nlohmann::ordered_json& json);

}  // namespace margay::jinja
