// Global functions: Jinja's and Hugging Face's.
#include <algorithm>
#include <ctime>

#include "formats/jinja/interpreter.h"

namespace margay::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // Jinja's sandbox has the same

// The only thing that a template can change.
class Namespace : public Object {
 public:
  Namespace(Heap& heap, std::vector<std::pair<std::string, Value>> attributes)
      : heap_(heap), charge_(heap.reserve(attributes.size() * kBytes)), attributes_(std::move(attributes)) {}

  const char* type() const override { return "a namespace"; }
  std::optional<Value> attribute(std::string_view name) override {
    const auto found = find(name);
    return found == attributes_.end() ? std::nullopt : std::optional(found->second);
  }
  bool set_attribute(const std::string& name, const Value& value) override {
    const auto found = find(name);
    if (found != attributes_.end()) {
      const Value old = std::exchange(found->second, value);  // goes when the new one is in place
    } else {
      later_.push_back(heap_.reserve(kBytes));
      attributes_.emplace_back(name, value);
    }
    return true;
  }
  void clear() override { attributes_.clear(); }

 private:
  static constexpr size_t kBytes = 128;  // of an attribute
  std::vector<std::pair<std::string, Value>>::iterator find(std::string_view name) {
    return std::find_if(attributes_.begin(), attributes_.end(), [&](const auto& entry) { return entry.first == name; });
  }
  Heap& heap_;
  Charge charge_;
  std::vector<Charge> later_;
  std::vector<std::pair<std::string, Value>> attributes_;
};

// dict() and namespace(): a dict or pairs, and named ones.
std::vector<std::pair<Value, Value>> entries_of(Call& call) {
  std::vector<std::pair<Value, Value>> entries;
  if (call.rest.positional.size() > 1) refuse("dict and namespace take at most one argument without a name");
  for (const Value& source : call.rest.positional) {
    if (source.is<DictRef>()) {
      entries = source.get<DictRef>()->entries;
      continue;
    }
    for (const Value& item : iterate(call.heap, source)) {
      const std::vector<Value> pair = iterate(call.heap, item);
      if (pair.size() != 2) refuse("an entry of a dict has {} items, expected 2", pair.size());
      entries.emplace_back(pair[0], pair[1]);
    }
  }
  for (const auto& [name, value] : call.rest.named) entries.emplace_back(call.string(name), value);
  return entries;
}

Value dict(Call& call) { return call.heap.dict(entries_of(call)); }

Value make_namespace(Call& call) {
  const Value unique = call.heap.dict(entries_of(call));
  std::vector<std::pair<std::string, Value>> attributes;
  for (const auto& [key, value] : unique.get<DictRef>()->entries) {
    if (!key.is_text()) refuse("an attribute's name is {}, expected a string", type_name(key));
    attributes.emplace_back(key.text(), value);
  }
  const auto made = call.heap.object<Namespace>(call.heap, std::move(attributes));
  call.heap.keep(made);  // it may come to hold itself
  return Value(ObjectRef(made));
}

Value range(Call& call) {
  const int64_t start = call.has(1) ? call.whole(0) : 0, stop = call.has(1) ? call.whole(1) : call.whole(0),
                step = call.whole(2, 1);
  if (step == 0) refuse("range: the step is 0");
  // In unsigned numbers, which cannot overflow here.
  const auto low = static_cast<uint64_t>(step > 0 ? start : stop),
             high = static_cast<uint64_t>(step > 0 ? stop : start);
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const uint64_t count = (step > 0) == (start < stop) && start != stop ? (high - low - 1) / stride + 1 : 0;
  if (count > kMaxRange) refuse("range of more than {} items", kMaxRange);
  std::vector<Value> items;
  for (int64_t i = 0; static_cast<uint64_t>(i) < count; ++i) items.push_back(Value(start + i * step));
  return call.heap.list(std::move(items), Sequence::kRange);
}

Value raise_exception(Call& call) { refuse("the template refuses: {}", to_text(call.heap, call[0])); }

Value strftime_now(Call& call) {
  const std::string& format = call.text(0);
  constexpr size_t kLongest = 256;
  if (format.size() > kLongest)
    refuse("strftime_now: a format of {} bytes, expected at most {}", format.size(), kLongest);
  const std::tm now = call.interpreter.now();
  // A character before it tells an empty result from one that did not fit; no directive makes more than 64 bytes.
  std::string text(64 * kLongest, '\0');
  text.resize(std::strftime(text.data(), text.size(), (" " + format).c_str(), &now));
  if (text.empty()) refuse("strftime_now: '{}' is no format of a time", format);
  return call.string(text.substr(1));
}

constexpr Builtin kFunctions[] = {
    {"dict", "**", dict},
    {"namespace", "**", make_namespace},
    {"raise_exception", "message", raise_exception},
    {"range", "start stop? step?", range},
    {"strftime_now", "format", strftime_now},
};

}  // namespace

std::span<const Builtin> functions() { return kFunctions; }

}  // namespace margay::jinja
