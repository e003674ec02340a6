// Filters that choose and map: with attributes, other filters and tests.
#include "formats/jinja/interpreter.h"

namespace margay::jinja {
namespace {

Value or_default(Call& call) {
  const bool replaced = call.subject.is_undefined() || (call.flag(1, false) && !truth(call.subject));
  if (!replaced) return call.subject;
  return call.has(0) ? call[0] : call.string("");
}

Value attr(Call& call) {
  const std::string& name = call.text(0);
  if (call.subject.is<DictRef>() && !find_method(call.subject, name))
    return undefined(fmt::format("a dict has no attribute '{}'", name));
  return call.interpreter.attribute(call.subject, name);
}

// map(attribute='x', default=d), or map('filter', arguments...).
Value map(Call& call) {
  std::vector<Value> results;
  if (!truth(call.subject)) return call.heap.list({}, Sequence::kGenerator);  // none, too
  const auto named = [&](std::string_view wanted) -> const Value* {
    for (const auto& [name, value] : call.rest.named)
      if (name == wanted) return &value;
    return nullptr;
  };
  const Value* attribute = named("attribute");
  if (call.rest.positional.empty()) {
    const Value* otherwise = named("default");
    if (!attribute) refuse("map needs a filter's name, or attribute=");
    if (call.rest.named.size() != (otherwise ? 2 : 1)) refuse("map has no arguments but attribute and default");
    for (const Value& item : iterate(call.heap, call.subject)) {
      Value value = attribute_path(call.interpreter, item, *attribute);
      results.push_back(value.is_undefined() && otherwise ? *otherwise : std::move(value));
    }
  } else {
    if (!call.rest.positional[0].is_text())
      refuse("map: a filter's name is {}, expected a string", type_name(call.rest.positional[0]));
    const std::string name = call.rest.positional[0].text();
    Arguments arguments = call.rest;
    arguments.positional.erase(arguments.positional.begin());
    for (const Value& item : iterate(call.heap, call.subject))
      results.push_back(call.interpreter.apply_filter(name, item, arguments));
  }
  return call.heap.list(std::move(results), Sequence::kGenerator);
}

// The items for which a test holds, or does not: of the item itself or of its attribute.
Value choose(Call& call, bool wanted, bool by_attribute) {
  if (!truth(call.subject)) return call.heap.list({}, Sequence::kGenerator);  // none, too
  Arguments arguments = call.rest;
  auto& positional = arguments.positional;
  Value path;
  if (by_attribute) {
    if (positional.empty()) refuse("selectattr and rejectattr need an attribute");
    path = positional[0];
    positional.erase(positional.begin());
  }
  std::string test;
  if (!positional.empty()) {
    if (!positional[0].is_text()) refuse("a test's name is {}, expected a string", type_name(positional[0]));
    test = positional[0].text();
    positional.erase(positional.begin());
  }
  std::vector<Value> chosen;
  for (const Value& item : iterate(call.heap, call.subject)) {
    call.heap.step();
    const Value value = by_attribute ? attribute_path(call.interpreter, item, path) : item;
    if ((test.empty() ? truth(value) : call.interpreter.apply_test(test, value, arguments)) == wanted)
      chosen.push_back(item);
  }
  return call.heap.list(std::move(chosen), Sequence::kGenerator);
}

Value select(Call& call) { return choose(call, true, false); }
Value reject(Call& call) { return choose(call, false, false); }
Value select_attribute(Call& call) { return choose(call, true, true); }
Value reject_attribute(Call& call) { return choose(call, false, true); }

constexpr Builtin kFilters[] = {
    {"attr", "name", attr},
    {"default d", "default_value? boolean?", or_default},
    {"map", "**", map},
    {"reject", "**", reject},
    {"rejectattr", "**", reject_attribute},
    {"select", "**", select},
    {"selectattr", "**", select_attribute},
};

}  // namespace

std::span<const Builtin> choice_filters() { return kFilters; }

}  // namespace margay::jinja
