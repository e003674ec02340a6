#include "formats/hf_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"

namespace margay {
namespace {

using Json = nlohmann::json;

int64_t to_integer(const Json& value, const std::string& path, std::string_view key) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    require(number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()), "{}: {} is {}, which is too large",
            path, key, number);
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    require(number == std::floor(number) && std::abs(number) <= 9007199254740992.0,
            "{}: {} is {}, expected a whole number", path, key, number);
    return static_cast<int64_t>(number);
  }
  fail("{}: {} is {}, expected a whole number", path, key, json_kind(value));
}

double to_number(const Json& value, const std::string& path, std::string_view key) {
  require(value.is_number(), "{}: {} is {}, expected a number", path, key, json_kind(value));
  const auto number = value.get<double>();
  require(std::isfinite(number), "{}: {} is {}, expected a finite number", path, key, number);
  return number;
}

// "LlamaForCausalLM" -> "llama", "Qwen2MoeForCausalLM" -> "qwen2_moe".
std::string model_type_of(std::string_view architecture) {
  const std::string_view stem = architecture.substr(0, std::min(architecture.find("For"), architecture.find("LMHead")));
  std::string result;
  for (size_t i = 0; i < stem.size(); ++i) {
    const char c = stem[i];
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && i > 0 && !(stem[i - 1] >= 'A' && stem[i - 1] <= 'Z')) result += '_';
    result += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return result;
}

}  // namespace

HfConfig::HfConfig(const std::string& folder_or_file)
    : path_(is_directory(folder_or_file) ? folder_or_file + "/config.json" : folder_or_file) {
  json_ = std::make_shared<const Json>(parse_json(read_text_file(path_), path_));
  require(json_->is_object(), "{}: holds {}, expected an object", path_, json_kind(*json_));
  const auto architectures = string_list("architectures");
  if (!architectures.empty()) architecture = architectures.front();
  model_type = string_or("model_type", "");
  if (model_type.empty()) model_type = model_type_of(architecture);
  require(!model_type.empty(), "{}: has neither model_type nor architectures", path_);
}

const Json* HfConfig::find(std::string_view key) const {
  const Json* value = json_.get();
  while (true) {
    const size_t dot = key.find('.');
    const std::string name(key.substr(0, dot));
    if (!value->is_object()) return nullptr;
    const auto found = value->find(name);
    if (found == value->end() || found->is_null()) return nullptr;
    value = &*found;
    if (dot == std::string_view::npos) return value;
    key.remove_prefix(dot + 1);
  }
}

const Json& HfConfig::get(std::string_view key) const {
  const Json* value = find(key);
  require(value != nullptr, "{}: has no {}", path_, key);
  return *value;
}

bool HfConfig::has(std::string_view key) const { return find(key) != nullptr; }

bool HfConfig::is_null(std::string_view key) const {
  const auto found = json_->find(key);
  return found != json_->end() && found->is_null();
}

int64_t HfConfig::integer(std::string_view key) const { return to_integer(get(key), path_, key); }

int64_t HfConfig::integer_or(std::string_view key, int64_t otherwise) const {
  return has(key) ? integer(key) : otherwise;
}

double HfConfig::number(std::string_view key) const { return to_number(get(key), path_, key); }

double HfConfig::number_or(std::string_view key, double otherwise) const { return has(key) ? number(key) : otherwise; }

bool HfConfig::boolean_or(std::string_view key, bool otherwise) const {
  const Json* value = find(key);
  if (!value) return otherwise;
  require(value->is_boolean(), "{}: {} is {}, expected true or false", path_, key, json_kind(*value));
  return value->get<bool>();
}

std::string HfConfig::string_or(std::string_view key, std::string_view otherwise) const {
  const Json* value = find(key);
  if (!value) return std::string(otherwise);
  require(value->is_string(), "{}: {} is {}, expected a string", path_, key, json_kind(*value));
  return value->get<std::string>();
}

std::vector<int64_t> HfConfig::integer_list(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  if (!value->is_array()) return {to_integer(*value, path_, key)};
  std::vector<int64_t> result;
  for (const Json& element : *value) result.push_back(to_integer(element, path_, key));
  return result;
}

std::vector<double> HfConfig::number_list(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  if (!value->is_array()) return {to_number(*value, path_, key)};
  std::vector<double> result;
  for (const Json& element : *value) result.push_back(to_number(element, path_, key));
  return result;
}

std::vector<std::string> HfConfig::string_list(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  require(value->is_array(), "{}: {} is {}, expected a list of strings", path_, key, json_kind(*value));
  std::vector<std::string> result;
  for (const Json& element : *value) {
    require(element.is_string(), "{}: {} holds {}, expected strings", path_, key, json_kind(element));
    result.push_back(element.get<std::string>());
  }
  return result;
}

RopeConfig HfConfig::rope() const {
  // Both forms have the same fields inside; only theta's place and the group's name differ.
  const std::string group = has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const auto field = [&](const char* name) { return group + "." + name; };
  RopeConfig rope;
  rope.theta = number_or(field("rope_theta"), number_or("rope_theta", rope.theta));
  rope.type = string_or(field("rope_type"), string_or(field("type"), rope.type));
  rope.has_factor = has(field("factor"));
  rope.factor = number_or(field("factor"), rope.factor);
  rope.low_freq_factor = number_or(field("low_freq_factor"), rope.low_freq_factor);
  rope.high_freq_factor = number_or(field("high_freq_factor"), rope.high_freq_factor);
  rope.original_max_position_embeddings =
      integer_or("original_max_position_embeddings", integer_or(field("original_max_position_embeddings"), 0));
  rope.attention_factor = number_or(field("attention_factor"), 0);
  rope.mscale = number_or(field("mscale"), 0);
  rope.mscale_all_dim = number_or(field("mscale_all_dim"), 0);
  rope.beta_fast = number_or(field("beta_fast"), rope.beta_fast);
  rope.beta_slow = number_or(field("beta_slow"), rope.beta_slow);
  rope.truncate = boolean_or(field("truncate"), rope.truncate);
  rope.short_factor = number_list(field("short_factor"));
  rope.long_factor = number_list(field("long_factor"));
  require(rope.theta > 0 && rope.factor > 0, "{}: rope theta {} and factor {} must be positive", path_, rope.theta,
          rope.factor);
  require(rope.attention_factor >= 0 && rope.beta_fast > 0 && rope.beta_slow > 0,
          "{}: RoPE's attention_factor {}, beta_fast {} and beta_slow {} must be positive", path_,
          rope.attention_factor, rope.beta_fast, rope.beta_slow);
  require(rope.original_max_position_embeddings >= 0, "{}: original_max_position_embeddings is {}", path_,
          rope.original_max_position_embeddings);
  return rope;
}

}  // namespace margay
