// Values to JSON, as Python's json.dumps writes it, and back.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/jinja/builtins.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

void append_string(std::string& out, std::string_view text, bool ascii) {
  out += '"';
  const auto unit = [&](uint32_t code) { out += fmt::format("\\u{:04x}", code); };
  for_each_character(text, [&](std::string_view character) {
    constexpr std::string_view kPlain = "\"\\\n\r\t\f\b", kNames = "\"\\nrtfb";
    const size_t escape = kPlain.find(character);
    const uint32_t c = first_character(character);
    if (escape != std::string_view::npos) (out += '\\') += kNames[escape];
    else if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000)) unit(c);
    else if (ascii && c >= 0x10000) unit(0xD800 + ((c - 0x10000) >> 10)), unit(0xDC00 + ((c - 0x10000) & 0x3FF));
    else out += character;
  });
  out += '"';
}

class Writer {
 public:
  Writer(Heap& heap, const JsonStyle& style) : heap_(heap), style_(style) {}

  void value(const Value& value) {
    heap_.step();
    heap_.check_text(out.size());
    if (value.is_none()) out += "null";
    else if (value.is<bool>()) out += value.get<bool>() ? "true" : "false";
    else if (value.is<int64_t>()) out += fmt::format("{}", value.get<int64_t>());
    else if (value.is<double>()) number(value.get<double>());
    else if (value.is_text()) string(value.text());
    else if (value.is<DictRef>()) dict(*value.get<DictRef>());
    else if (value.is<ListRef>() && value.get<ListRef>()->kind <= Sequence::kTuple) list(value.items());
    else if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
    else refuse("tojson: {} is no JSON", type_name(value));
  }

  std::string out;

 private:
  void string(const std::string& text) {
    heap_.pass(text.size());
    append_string(out, text, style_.ascii);
  }

  void number(double number) {
    if (std::isnan(number)) out += "NaN";
    else if (std::isinf(number)) out += number < 0 ? "-Infinity" : "Infinity";
    else out += float_text(number);
  }

  void key(const Value& key) {
    if (key.is_text()) return string(key.text());
    if (!key.is_none() && !key.is_number()) refuse("tojson: the key of a dict is {}", type_name(key));
    out += '"';
    value(key);
    out += '"';
  }

  void line() {
    if (!style_.indent) return;
    out += '\n';
    for (int i = 0; i < level_; ++i) out += *style_.indent;
    heap_.check_text(out.size());
  }

  template <class Items, class Put>
  void items(const Items& items, char open, char close, const Put& put) {
    out += open;
    ++level_;
    bool first = true;
    for (const auto& item : items) {
      if (!std::exchange(first, false)) out += style_.comma;
      line();
      put(item);
    }
    --level_;
    if (!first) line();
    out += close;
  }

  void list(const std::vector<Value>& all) {
    items(all, '[', ']', [&](const Value& item) { value(item); });
  }

  void dict(const Dict& dict) {
    std::vector<const std::pair<Value, Value>*> order;
    for (const auto& entry : dict.entries) order.push_back(&entry);
    if (style_.sort_keys)
      std::stable_sort(order.begin(), order.end(),
                       [&](auto* a, auto* b) { return compare(heap_, a->first, b->first) < 0; });
    items(order, '{', '}', [&](const auto* entry) {
      key(entry->first);
      out += style_.colon;
      value(entry->second);
    });
  }

  Heap& heap_;
  const JsonStyle& style_;
  int level_ = 0;
};

}  // namespace

std::string to_json(Heap& heap, const Value& value, const JsonStyle& style) {
  Writer writer(heap, style);
  writer.value(value);
  return std::move(writer.out);
}

Value value_from_json(Heap& heap, const nlohmann::ordered_json& json) {
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      return Value(json.get<bool>());
    case nlohmann::json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case nlohmann::json::value_t::number_unsigned:
      if (json.get<uint64_t>() > uint64_t{INT64_MAX}) refuse("{} does not fit 64 bits", json.get<uint64_t>());
      return Value(json.get<int64_t>());
    case nlohmann::json::value_t::number_float:
      return Value(json.get<double>());
    case nlohmann::json::value_t::string:
      return heap.string(json.get<std::string>());
    case nlohmann::json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(value_from_json(heap, item));
      return heap.list(std::move(items));
    }
    case nlohmann::json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      for (const auto& [key, value] : json.items())
        entries.emplace_back(heap.string(key), value_from_json(heap, value));
      return heap.dict(std::move(entries));
    }
    default:
      return Value(None{});
  }
}

}  // namespace margay::jinja
