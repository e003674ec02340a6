// Fields of tokenizer.json's objects, checked. All throw Error naming `where` and the field.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "formats/regex.h"

namespace margay {

std::string string_field(const nlohmann::json& object, const char* name, const std::string& where);
bool bool_field(const nlohmann::json& object, const char* name, bool otherwise, const std::string& where);
const nlohmann::json& array_field(const nlohmann::json& object, const char* name, const std::string& where);
int32_t token_id_field(const nlohmann::json& value, const std::string& where);  // 0 to 2^31 - 1
// The field "pattern": {"String": text} or {"Regex": expression}.
Regex pattern_field(const nlohmann::json& object, const std::string& where);
// The field, or null where the object has none.
const nlohmann::json& optional_field(const nlohmann::json& object, const char* name);

}  // namespace margay
