// Parsing JSON that is not trusted.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace margay {

// Parses one document. Throws Error naming `where` on a syntax error, on nesting deeper than 64, and on an object that
// has a key twice (two readers would take different values).
nlohmann::json parse_json(std::string_view text, const std::string& where);
// The same, with keys in the document's order.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where);

// The kind of a value, for messages: "a string", "null"...
std::string json_kind(const nlohmann::json& value);

}  // namespace margay
