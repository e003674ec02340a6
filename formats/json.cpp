#include "formats/json.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"

namespace margay {
namespace {

constexpr size_t kMaxDepth = 64;

// Builds the value while it watches depth and keys: a visitor of nlohmann's parser.
class CheckedBuilder {
 public:
  CheckedBuilder(nlohmann::json& root, const std::string& where) : root_(root), where_(where) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(nlohmann::json::binary_t&) { return false; }

  bool start_object(size_t) { return open(nlohmann::json::object()); }
  bool start_array(size_t) { return open(nlohmann::json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto [place, fresh] = stack_.back()->get_ref<nlohmann::json::object_t&>().emplace(name, nullptr);
    require(fresh, "{}: key \"{}\" appears twice in one object", where_, name);
    slot_ = &place->second;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    fail("{}: not valid JSON at byte {}", where_, position);
  }

 private:
  template <class T>
  bool add(T&& value) {
    place(nlohmann::json(std::forward<T>(value)));
    return true;
  }

  nlohmann::json* place(nlohmann::json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (stack_.back()->is_array()) {
      auto& elements = stack_.back()->get_ref<nlohmann::json::array_t&>();
      elements.push_back(std::move(value));
      return &elements.back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  bool open(nlohmann::json container) {
    require(stack_.size() < kMaxDepth, "{}: JSON nests deeper than {}", where_, kMaxDepth);
    stack_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  nlohmann::json& root_;
  const std::string& where_;
  std::vector<nlohmann::json*> stack_;  // the containers that are open; a container does not move while it is open
  nlohmann::json* slot_ = nullptr;      // the value of the key that was read last
};

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
  nlohmann::json root;
  CheckedBuilder builder(root, where);
  const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  require(complete, "{}: not valid JSON", where);
  return root;
}

std::string json_kind(const nlohmann::json& value) {
  if (value.is_null()) return "null";
  const std::string kind = value.type_name();
  return (kind == "array" || kind == "object" ? "an " : "a ") + kind;
}

}  // namespace margay
