#include "formats/json.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"

namespace margay {
namespace {

constexpr size_t kMaxDepth = 64;

// Builds the value while it watches depth and keys: a visitor of nlohmann's parser.
template <class Json>
class CheckedBuilder {
 public:
  CheckedBuilder(Json& root, const std::string& where) : root_(root), where_(where) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(typename Json::binary_t&) { return false; }

  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    require(keys_.back().insert(name).second, "{}: key \"{}\" appears twice in one object", where_, name);
    slot_ = add_key(stack_.back()->template get_ref<typename Json::object_t&>(), name);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    fail("{}: not valid JSON at byte {}", where_, position);
  }

 private:
  template <class T>
  bool add(T&& value) {
    place(Json(std::forward<T>(value)));
    return true;
  }

  static Json* add_key(nlohmann::json::object_t& object, const std::string& name) {
    return &object.emplace(name, nullptr).first->second;
  }
  // As the vector that it is: its own emplace() looks through all keys first.
  static Json* add_key(nlohmann::ordered_json::object_t& object, const std::string& name) {
    return &object.emplace_back(name, nullptr).second;
  }

  Json* place(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (stack_.back()->is_array()) {
      auto& elements = stack_.back()->template get_ref<typename Json::array_t&>();
      elements.push_back(std::move(value));
      return &elements.back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  bool open(Json container) {
    require(stack_.size() < kMaxDepth, "{}: JSON nests deeper than {}", where_, kMaxDepth);
    stack_.push_back(place(std::move(container)));
    keys_.emplace_back();
    return true;
  }

  bool close() {
    stack_.pop_back();
    keys_.pop_back();
    return true;
  }

  Json& root_;
  const std::string& where_;
  std::vector<Json*> stack_;  // the containers that are open; a container does not move while it is open
  std::vector<std::unordered_set<std::string>> keys_;  // of each
  Json* slot_ = nullptr;                               // the value of the key that was read last
};

template <class Json>
Json parse(std::string_view text, const std::string& where) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
  Json root;
  CheckedBuilder<Json> builder(root, where);
  const bool complete = Json::sax_parse(text.begin(), text.end(), &builder);
  require(complete, "{}: not valid JSON", where);
  return root;
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  return parse<nlohmann::json>(text, where);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where) {
  return parse<nlohmann::ordered_json>(text, where);
}

std::string json_kind(const nlohmann::json& value) {
  if (value.is_null()) return "null";
  const std::string kind = value.type_name();
  return (kind == "array" || kind == "object" ? "an " : "a ") + kind;
}

}  // namespace margay
