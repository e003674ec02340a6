// Filters on lists and dicts as a whole.
#include <algorithm>
#include <unordered_set>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

// What sorting and comparing without case use in place of a value.
Value folded(Heap& heap, const Value& value, bool case_sensitive) {
  return !case_sensitive && value.is_text() ? heap.string(lower_text(value.text())) : value;
}

// The keys of items: themselves, an attribute, or a tuple of the attributes that commas separate.
std::vector<Value> keys_of(Call& call, const std::vector<Value>& items, const Value* attribute, bool case_sensitive) {
  std::vector<Value> keys;
  for (const Value& item : items) {
    call.heap.step();
    if (!attribute || attribute->is_none()) {
      keys.push_back(folded(call.heap, item, case_sensitive));
    } else if (!attribute->is_text() || attribute->text().find(',') == std::string::npos) {
      keys.push_back(folded(call.heap, attribute_path(call.interpreter, item, *attribute), case_sensitive));
    } else {
      std::vector<Value> parts;
      for (const std::string_view part : split_text(attribute->text(), ",", -1))
        parts.push_back(
            folded(call.heap, attribute_path(call.interpreter, item, call.string(std::string(part))), case_sensitive));
      keys.push_back(call.heap.list(std::move(parts)));
    }
  }
  return keys;
}

// Items in the order of their keys; equal ones keep theirs.
std::vector<size_t> sorted_order(Heap& heap, const std::vector<Value>& keys, bool reverse) {
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int sign = compare(heap, keys[a], keys[b]);
    return reverse ? sign > 0 : sign < 0;
  });
  return order;
}

const Value* optional_argument(Call& call, size_t parameter) {
  return call.has(parameter) ? &call[parameter] : nullptr;
}

Value sort(Call& call) {
  const std::vector<Value> items = iterate(call.heap, call.subject);
  const std::vector<Value> keys = keys_of(call, items, optional_argument(call, 2), call.flag(1, false));
  std::vector<Value> sorted;
  for (const size_t i : sorted_order(call.heap, keys, call.flag(0, false))) sorted.push_back(items[i]);
  return call.heap.list(std::move(sorted));
}

Value dictsort(Call& call) {
  if (call.subject.is_undefined()) refuse("{}", *call.subject.get<Undefined>().why);
  if (!call.subject.is<DictRef>()) refuse("dictsort of {}, expected a dict", type_name(call.subject));
  const std::string by = call.has(1) ? call.text(1) : "key";
  if (by != "key" && by != "value") refuse("dictsort: by is '{}', expected key or value", by);
  const auto& entries = call.subject.get<DictRef>()->entries;
  std::vector<Value> keys, sorted;
  for (const auto& [key, value] : entries)
    keys.push_back(folded(call.heap, by == "key" ? key : value, call.flag(0, false)));
  for (const size_t i : sorted_order(call.heap, keys, call.flag(2, false)))
    sorted.push_back(call.heap.list({entries[i].first, entries[i].second}, Sequence::kTuple));
  return call.heap.list(std::move(sorted));
}

Value unique(Call& call) {
  const std::vector<Value> items = iterate(call.heap, call.subject);
  const std::vector<Value> keys = keys_of(call, items, optional_argument(call, 1), call.flag(0, false));
  std::unordered_set<std::string> seen;
  std::vector<Value> result;
  for (size_t i = 0; i < items.size(); ++i)
    if (seen.insert(key_text(keys[i])).second) result.push_back(items[i]);
  return call.heap.list(std::move(result), Sequence::kGenerator);
}

Value groupby(Call& call) {
  const std::vector<Value> items = iterate(call.heap, call.subject);
  const bool case_sensitive = call.flag(2, false);
  std::vector<Value> names;  // as they are; without case for the order only
  for (const Value& item : items) {
    Value name = attribute_path(call.interpreter, item, call[0]);
    names.push_back(name.is_undefined() && call.given(1) ? call[1] : std::move(name));
  }
  std::vector<Value> keys;
  for (const Value& name : names) keys.push_back(folded(call.heap, name, case_sensitive));
  std::vector<Value> groups, group;
  size_t first = 0;
  const auto finish = [&] {
    if (group.empty()) return;
    Value members = call.heap.list(std::exchange(group, {}));
    groups.push_back(call.heap.list({names[first], std::move(members)}, Sequence::kTuple));
  };
  for (const size_t i : sorted_order(call.heap, keys, false)) {
    if (!group.empty() && !equal(call.heap, keys[first], keys[i])) finish();
    if (group.empty()) first = i;
    group.push_back(items[i]);
  }
  finish();
  return call.heap.list(std::move(groups));
}

Value join(Call& call) {
  const std::string between = call.has(0) ? to_text(call.heap, call[0]) : "";
  std::string text;
  bool first = true;
  for (const Value& item : iterate(call.heap, call.subject)) {
    if (!std::exchange(first, false)) text += between;
    text += to_text(call.heap, call.given(1) ? attribute_path(call.interpreter, item, call[1]) : item);
    call.heap.check_text(text.size());
  }
  return call.string(std::move(text));
}

Value length(Call& call) {
  if (call.subject.is_text()) call.heap.pass(call.subject.text().size());
  const auto count = length_of(call.subject);
  if (!count) refuse("{} has no length", type_name(call.subject));
  return Value(*count);
}

Value first(Call& call) {
  const std::vector<Value> items = iterate(call.heap, call.subject);
  return items.empty() ? undefined("there is no first item") : items.front();
}

Value last(Call& call) {
  if (call.subject.is<ListRef>() && call.subject.get<ListRef>()->kind == Sequence::kGenerator)
    refuse("{} has no last item", type_name(call.subject));
  const std::vector<Value> items = iterate(call.heap, call.subject);
  return items.empty() ? undefined("there is no last item") : items.back();
}

Value list(Call& call) { return call.heap.list(iterate(call.heap, call.subject)); }

Value reverse(Call& call) {
  std::vector<Value> items = iterate(call.heap, call.subject);
  std::reverse(items.begin(), items.end());
  if (!call.subject.is_text()) return call.heap.list(std::move(items), Sequence::kGenerator);
  std::string text;
  for (const Value& item : items) text += item.text();
  return call.string(std::move(text));
}

Value extreme(Call& call, int sign) {
  const std::vector<Value> items = iterate(call.heap, call.subject);
  const std::vector<Value> keys = keys_of(call, items, optional_argument(call, 1), call.flag(0, false));
  if (items.empty()) return undefined("there is no smallest or largest item of none");
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i)
    if (compare(call.heap, keys[i], keys[best]) * sign > 0) best = i;
  return items[best];
}

Value smallest(Call& call) { return extreme(call, -1); }
Value largest(Call& call) { return extreme(call, 1); }

Value sum(Call& call) {
  Value total = call.has(1) ? call[1] : Value(int64_t{0});
  for (const Value& item : iterate(call.heap, call.subject)) {
    const Value addend = call.given(0) ? attribute_path(call.interpreter, item, call[0]) : item;
    total = call.interpreter.binary(Operator::kAdd, total, addend);
  }
  return total;
}

Value items(Call& call) {
  if (call.subject.is_undefined()) return call.heap.list({}, Sequence::kGenerator);
  if (!call.subject.is<DictRef>()) refuse("items of {}, expected a dict", type_name(call.subject));
  std::vector<Value> pairs;
  for (const auto& [key, value] : call.subject.get<DictRef>()->entries)
    pairs.push_back(call.heap.list({key, value}, Sequence::kTuple));
  return call.heap.list(std::move(pairs), Sequence::kGenerator);
}

// Rows of `linecount` items, the last one filled up where fill_with is given.
Value batch(Call& call) {
  const int64_t size = call.whole(0);
  if (size < 1) refuse("batch: linecount is {}, expected at least 1", size);
  std::vector<Value> rows, row;
  for (Value& item : iterate(call.heap, call.subject)) {
    if (static_cast<int64_t>(row.size()) == size) rows.push_back(call.heap.list(std::exchange(row, {})));
    row.push_back(std::move(item));
  }
  if (!row.empty()) {
    if (call.given(1)) {
      call.heap.check_items(static_cast<size_t>(size));
      row.resize(static_cast<size_t>(size), call[1]);
    }
    rows.push_back(call.heap.list(std::move(row)));
  }
  return call.heap.list(std::move(rows), Sequence::kGenerator);
}

// `slices` columns of nearly the same length, the longer ones first; fill_with makes the others as long.
Value slice(Call& call) {
  const std::vector<Value> items = iterate(call.heap, call.subject);
  const int64_t columns = call.whole(0);
  if (columns < 1) refuse("slice: slices is {}, expected at least 1", columns);
  call.heap.check_items(static_cast<size_t>(columns));
  const size_t count = static_cast<size_t>(columns), each = items.size() / count, longer = items.size() % count;
  std::vector<Value> all;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = each + (i < longer ? 1 : 0);
    std::vector<Value> column(items.begin() + static_cast<std::ptrdiff_t>(at),
                              items.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
    if (call.given(1) && i >= longer) column.push_back(call[1]);
    all.push_back(call.heap.list(std::move(column)));
  }
  return call.heap.list(std::move(all), Sequence::kGenerator);
}

constexpr Builtin kFilters[] = {
    {"batch", "linecount fill_with?", batch},
    {"dictsort", "case_sensitive? by? reverse?", dictsort},
    {"first", "", first},
    {"groupby", "attribute default? case_sensitive?", groupby},
    {"items", "", items},
    {"join", "d? attribute?", join},
    {"last", "", last},
    {"length count", "", length},
    {"list", "", list},
    {"max", "case_sensitive? attribute?", largest},
    {"min", "case_sensitive? attribute?", smallest},
    {"reverse", "", reverse},
    {"slice", "slices fill_with?", slice},
    {"sort", "reverse? case_sensitive? attribute?", sort},
    {"sum", "attribute? start?", sum},
    {"unique", "case_sensitive? attribute?", unique},
};

}  // namespace

std::span<const Builtin> sequence_filters() { return kFilters; }

}  // namespace margay::jinja
