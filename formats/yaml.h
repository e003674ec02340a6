// The subset of YAML that configuration files of training runs are written in.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace margay {

// Parses mappings and sequences by indentation, flow lists of scalars ([a, b]) and scalars: null, true, false, numbers,
// plain and quoted strings. Throws Error naming `where` and the line on anything else (anchors, block scalars, tabs,
// flow mappings other than {}), on a key given twice and on nesting deeper than 64.
nlohmann::json parse_yaml(std::string_view text, const std::string& where);

}  // namespace margay
