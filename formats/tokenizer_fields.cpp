#include "formats/tokenizer_fields.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/json.h"

namespace margay {

using Json = nlohmann::json;

const Json& optional_field(const Json& object, const char* name) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

std::string string_field(const Json& object, const char* name, const std::string& where) {
  const Json& value = optional_field(object, name);
  require(value.is_string(), "{}: \"{}\" is {}, expected a string", where, name, json_kind(value));
  return value.get<std::string>();
}

bool bool_field(const Json& object, const char* name, bool otherwise, const std::string& where) {
  const Json& value = optional_field(object, name);
  if (value.is_null()) return otherwise;
  require(value.is_boolean(), "{}: \"{}\" is {}, expected true or false", where, name, json_kind(value));
  return value.get<bool>();
}

const Json& array_field(const Json& object, const char* name, const std::string& where) {
  const Json& value = optional_field(object, name);
  require(value.is_array(), "{}: \"{}\" is {}, expected a list", where, name, json_kind(value));
  return value;
}

int32_t token_id_field(const Json& value, const std::string& where) {
  require(value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{std::numeric_limits<int32_t>::max()},
          "{}: a token id is {}, expected 0 to 2147483647", where, value.is_number() ? value.dump() : json_kind(value));
  return value.get<int32_t>();
}

Regex pattern_field(const Json& object, const std::string& where) {
  const Json& pattern = optional_field(object, "pattern");
  if (const Json& text = optional_field(pattern, "String"); text.is_string())
    return Regex::literal(text.get<std::string>(), where);
  return Regex(string_field(pattern, "Regex", where + " pattern"), where);
}

}  // namespace margay
