#include "formats/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

constexpr size_t kMaxKey = 1 << 16;  // bytes of a tuple; tuples of tuples of tuples would grow without end

int deepest(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth;
}

void check_depth(int depth) {
  if (depth > kMaxValueDepth) refuse("values nest deeper than {}", kMaxValueDepth);
}

}  // namespace

// Keys that are no strings begin with a byte that no UTF-8 text has.
std::string key_text(const Value& key) {
  if (key.is_text()) return key.text();
  if (key.is_none())
    return "\xff"
           "none";
  if (key.is_whole()) return fmt::format("\xff{}", key.whole());
  if (key.is<double>()) {
    const double number = key.get<double>();
    if (std::abs(number) < 9e15 && number == std::floor(number))
      return fmt::format("\xff{}", static_cast<int64_t>(number));
    return fmt::format("\xff{}", number);
  }
  if (key.is<ListRef>() && key.get<ListRef>()->kind == Sequence::kTuple) {
    std::string text = "\xff(";
    for (const Value& item : key.items()) {
      const std::string part = key_text(item);
      text += fmt::format("{}:{}", part.size(), part);
      if (text.size() > kMaxKey) refuse("a key of a dict is longer than {} bytes", kMaxKey);
    }
    return text;
  }
  if (key.is_undefined()) return "\xffundefined";
  refuse("{} cannot be the key of a dict", type_name(key));
}

const std::string& Value::text() const { return get<StringRef>()->text; }
const std::vector<Value>& Value::items() const { return get<ListRef>()->items; }

int Value::depth() const {
  if (is<ListRef>()) return get<ListRef>()->depth;
  return is<DictRef>() ? get<DictRef>()->depth : 0;
}

const Value* Dict::find(const Value& key) const {
  const auto found = index.find(key_text(key));
  return found == index.end() ? nullptr : &entries[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = index.find(std::string(key));
  return found == index.end() ? nullptr : &entries[found->second].second;
}

Value Object::call(Interpreter&, Arguments) { refuse("{} cannot be called", type()); }

Heap::~Heap() {
  for (const ObjectRef& object : kept_) object->clear();
}

void Heap::too_many_steps() const { refuse("takes more than {} steps", limits_.steps); }

void Heap::check_text(size_t bytes) const {
  if (bytes > limits_.text) refuse("makes a text of more than {} bytes", limits_.text);
}

void Heap::check_items(size_t count) const {
  if (count > limits_.memory / sizeof(Value))
    refuse("makes a list of {} items: more than {} bytes", count, limits_.memory);
}

Charge Heap::reserve(size_t bytes) {
  if (bytes > limits_.memory - std::min(used_, limits_.memory))
    refuse("needs more than {} bytes of memory", limits_.memory);
  return Charge(&used_, bytes);
}

Value Heap::string(std::string text) {
  check_text(text.size());
  step(1 + static_cast<int64_t>(text.size() / 64));
  Charge charge = reserve(text.size() + sizeof(String));
  return Value(std::make_shared<const String>(String{std::move(text), std::move(charge)}));
}

Value Heap::list(std::vector<Value> items, Sequence kind) {
  const int depth = 1 + deepest(items);
  check_depth(depth);
  step(1 + static_cast<int64_t>(items.size() / 4));
  Charge charge = reserve(items.size() * sizeof(Value) + sizeof(List));
  return Value(std::make_shared<const List>(List{std::move(items), kind, depth, std::move(charge)}));
}

Value Heap::dict(std::vector<std::pair<Value, Value>> entries) {
  std::vector<std::pair<Value, Value>> unique;
  std::unordered_map<std::string, size_t> index;
  int depth = 0;
  size_t bytes = sizeof(Dict);
  for (auto& [key, value] : entries) {
    depth = std::max({depth, key.depth(), value.depth()});
    std::string spelled = key_text(key);
    bytes += spelled.size() + 128;
    const auto [place, fresh] = index.emplace(std::move(spelled), unique.size());
    if (fresh) unique.emplace_back(std::move(key), std::move(value));
    else unique[place->second].second = std::move(value);
  }
  check_depth(1 + depth);
  step(1 + static_cast<int64_t>(unique.size()));
  Charge charge = reserve(bytes);
  return Value(std::make_shared<const Dict>(Dict{std::move(unique), std::move(index), 1 + depth, std::move(charge)}));
}

Value undefined(std::string why) { return Value(Undefined{std::make_shared<const std::string>(std::move(why))}); }

bool truth(const Value& value) {
  if (value.is<bool>()) return value.get<bool>();
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_text()) return !value.text().empty();
  if (value.is_number()) return value.number() != 0;
  if (value.is<ListRef>()) return value.get<ListRef>()->kind == Sequence::kGenerator || !value.items().empty();
  if (value.is<DictRef>()) return !value.get<DictRef>()->entries.empty();
  return true;
}

bool equal(Heap& heap, const Value& a, const Value& b) {
  heap.step();
  const auto same = [&](const Value& x, const Value& y) { return equal(heap, x, y); };
  if (a.is_number() && b.is_number()) {
    if (a.is_whole() && b.is_whole()) return a.whole() == b.whole();
    return a.number() == b.number();
  }
  if (a.is_text() && b.is_text()) return a.text() == b.text();
  if (a.is_none() || a.is_undefined()) return a.is_none() ? b.is_none() : b.is_undefined();
  if (a.is<ListRef>() && b.is<ListRef>()) {
    const List &x = *a.get<ListRef>(), &y = *b.get<ListRef>();
    if (x.kind == Sequence::kGenerator || y.kind == Sequence::kGenerator) return &x == &y;
    return x.kind == y.kind && std::equal(x.items.begin(), x.items.end(), y.items.begin(), y.items.end(), same);
  }
  if (a.is<DictRef>() && b.is<DictRef>()) {
    const Dict &x = *a.get<DictRef>(), &y = *b.get<DictRef>();
    if (x.entries.size() != y.entries.size()) return false;
    return std::all_of(x.entries.begin(), x.entries.end(), [&](const auto& entry) {
      const Value* other = y.find(entry.first);
      return other != nullptr && same(entry.second, *other);
    });
  }
  return a.is<ObjectRef>() && b.is<ObjectRef>() && a.get<ObjectRef>() == b.get<ObjectRef>();
}

int compare(Heap& heap, const Value& a, const Value& b) {
  heap.step();
  const auto order = [](auto x, auto y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (a.is_whole() && b.is_whole()) return order(a.whole(), b.whole());
  if (a.is_number() && b.is_number()) return order(a.number(), b.number());
  if (a.is_text() && b.is_text()) return order(std::string_view(a.text()), std::string_view(b.text()));
  if (a.is<ListRef>() && b.is<ListRef>() && a.get<ListRef>()->kind == b.get<ListRef>()->kind) {
    const auto &x = a.items(), &y = b.items();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!equal(heap, x[i], y[i])) return compare(heap, x[i], y[i]);
    return order(x.size(), y.size());
  }
  for (const Value* value : {&a, &b})
    if (value->is_undefined()) refuse("{}", *value->get<Undefined>().why);
  refuse("{} and {} have no order", type_name(a), type_name(b));
}

std::string type_name(const Value& value) {
  if (value.is_undefined()) return "undefined";
  if (value.is_none()) return "none";
  if (value.is<bool>()) return "a boolean";
  if (value.is<int64_t>()) return "an integer";
  if (value.is<double>()) return "a float";
  if (value.is_text()) return "a string";
  if (value.is<DictRef>()) return "a dict";
  if (value.is<ObjectRef>()) return value.get<ObjectRef>()->type();
  constexpr const char* kNames[] = {"a list", "a tuple", "a range", "a dict view", "a generator"};
  return kNames[static_cast<int>(value.get<ListRef>()->kind)];
}

std::vector<Value> iterate(Heap& heap, const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (value.is<ListRef>()) {
    const List& list = *value.get<ListRef>();
    heap.step(static_cast<int64_t>(list.items.size() / 4));
    if (list.kind != Sequence::kGenerator) return list.items;
    if (std::exchange(list.consumed, true)) return items;
    return list.items;
  }
  if (value.is<DictRef>()) {
    for (const auto& [key, held] : value.get<DictRef>()->entries) items.push_back(key);
    heap.step(static_cast<int64_t>(items.size() / 4));
    return items;
  }
  if (!value.is_text()) refuse("{} is not iterable", type_name(value));
  for_each_character(value.text(),
                     [&](std::string_view character) { items.push_back(heap.string(std::string(character))); });
  return items;
}

std::optional<int64_t> length_of(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_text()) return count_characters(value.text());
  if (value.is<DictRef>()) return static_cast<int64_t>(value.get<DictRef>()->entries.size());
  if (value.is<ListRef>() && value.get<ListRef>()->kind != Sequence::kGenerator)
    return static_cast<int64_t>(value.items().size());
  return std::nullopt;
}

}  // namespace margay::jinja
