// Calls of builtins: arguments by parameter, tables by name.
#include "formats/jinja/builtins.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"

namespace margay::jinja {

Call::Call(Interpreter& machine, const Builtin& builtin, Value object, Arguments arguments)
    : interpreter(machine),
      heap(machine.heap),
      subject(std::move(object)),
      name_(builtin.names.substr(0, builtin.names.find(' '))),
      parameters_(split_text(builtin.parameters, std::nullopt, -1)) {
  const bool any = !parameters_.empty() && parameters_.back().starts_with('*'),
             any_named = any && parameters_.back() == "**";
  if (any) parameters_.pop_back();
  values_.resize(parameters_.size());
  std::vector<bool> optional;
  for (std::string_view& parameter : parameters_) {
    optional.push_back(parameter.ends_with('?'));
    if (optional.back()) parameter.remove_suffix(1);
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < values_.size()) values_[i] = std::move(arguments.positional[i]);
    else if (any) rest.positional.push_back(std::move(arguments.positional[i]));
    else refuse("{} takes at most {} arguments, it got {}", name_, values_.size(), arguments.positional.size());
  }
  for (auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters_.begin(), parameters_.end(), name);
    if (found != parameters_.end()) {
      auto& place = values_[static_cast<size_t>(found - parameters_.begin())];
      if (place) refuse("{} got its argument '{}' twice", name_, name);
      place = std::move(value);
    } else if (any_named) {
      rest.named.emplace_back(name, std::move(value));
    } else {
      refuse("{} has no argument '{}'", name_, name);
    }
  }
  for (size_t i = 0; i < values_.size(); ++i)
    if (!values_[i] && !optional[i]) refuse("{} needs the argument '{}'", name_, parameters_[i]);
}

const std::string& Call::text(size_t parameter) const {
  const Value& value = (*this)[parameter];
  if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
  if (!value.is_text()) refuse("{}: '{}' is {}, expected a string", name_, parameters_[parameter], type_name(value));
  return value.text();
}

int64_t Call::whole(size_t parameter, int64_t otherwise) const {
  if (!given(parameter)) return otherwise;
  const Value& value = (*this)[parameter];
  if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
  if (!value.is_whole()) refuse("{}: '{}' is {}, expected an integer", name_, parameters_[parameter], type_name(value));
  return value.whole();
}

const std::string& Call::subject_text() const {
  if (subject.is_undefined()) refuse("{}", *subject.get<Undefined>().why);
  if (!subject.is_text()) refuse("{} of {}, expected a string", name_, type_name(subject));
  heap.pass(subject.text().size());
  return subject.text();
}

Value Call::list(const std::vector<std::string_view>& texts) const {
  heap.check_items(texts.size());
  std::vector<Value> items;
  items.reserve(texts.size());
  for (const std::string_view text : texts) items.push_back(heap.string(std::string(text)));
  return heap.list(std::move(items));
}

const Builtin* find_in(std::span<const Builtin> table, std::string_view name) {
  for (const Builtin& row : table) {
    std::string_view names = row.names;
    for (;;) {
      const size_t end = std::min(names.find(' '), names.size());
      if (names.substr(0, end) == name) return &row;
      if (end == names.size()) break;
      names.remove_prefix(end + 1);
    }
  }
  return nullptr;
}

const Builtin* find_filter(std::string_view name) {
  for (const auto table : {text_filters(), sequence_filters(), choice_filters(), number_filters()})
    if (const Builtin* row = find_in(table, name)) return row;
  return nullptr;
}

const Builtin* find_test(std::string_view name) { return find_in(tests(), name); }
const Builtin* find_function(std::string_view name) { return find_in(functions(), name); }

const Builtin* find_method(const Value& object, std::string_view name) {
  if (object.is_text()) return find_in(string_methods(), name);
  if (object.is<DictRef>()) return find_in(dict_methods(), name);
  return object.is<ListRef>() && object.get<ListRef>()->kind <= Sequence::kTuple ? find_in(list_methods(), name)
                                                                                 : nullptr;
}

Value run(Interpreter& interpreter, const Builtin& builtin, const Value& subject, Arguments arguments) {
  Call call(interpreter, builtin, subject, std::move(arguments));
  return builtin.run(call);
}

Value attribute_path(Interpreter& interpreter, const Value& item, const Value& path) {
  if (path.is_whole()) return interpreter.item(item, path);
  if (!path.is_text()) refuse("an attribute is {}, expected a string or an integer", type_name(path));
  Value value = item;
  for (const std::string_view part : split_text(path.text(), ".", -1)) {
    int64_t index = 0;
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool number = error == std::errc() && rest == part.data() + part.size() && part[0] != '-';
    value = interpreter.item(value, number ? Value(index) : interpreter.heap.string(std::string(part)));
  }
  return value;
}

}  // namespace margay::jinja
