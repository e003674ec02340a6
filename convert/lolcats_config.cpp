#include "convert/lolcats_config.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/checkpoint.h"
#include "formats/json.h"
#include "formats/yaml.h"

namespace margay {
namespace {

using Json = nlohmann::json;

// Fields of one mapping of a file. A value of null counts as absent.
class Section {
 public:
  Section(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  const Json* find(const char* key) const {
    if (!json_.is_object()) return nullptr;
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  Section section(const char* key) const {
    static const Json kNone;
    const Json* value = find(key);
    require(!value || value->is_object(), "{}.{} is {}, expected a mapping", where_, key,
            value ? json_kind(*value) : "");
    return {value ? *value : kNone, where_ + "." + key};
  }
  std::string text(const char* key) const {
    const Json* value = find(key);
    require(!value || value->is_string(), "{}.{} is {}, expected a text", where_, key, value ? json_kind(*value) : "");
    return value ? value->get<std::string>() : "";
  }
  bool flag(const char* key) const {
    const Json* value = find(key);
    require(!value || value->is_boolean(), "{}.{} is {}, expected true or false", where_, key,
            value ? json_kind(*value) : "");
    return value && value->get<bool>();
  }
  std::optional<double> number(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    require(value->is_number(), "{}.{} is {}, expected a number", where_, key, json_kind(*value));
    return value->get<double>();
  }
  std::optional<int64_t> count(const char* key, int64_t least, int64_t most) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    require(value->is_number_integer() && value->get<int64_t>() >= least && value->get<int64_t>() <= most,
            "{}.{} is {}, expected {} to {}", where_, key, value->dump(-1, ' ', false, Json::error_handler_t::replace),
            least, most);
    return value->get<int64_t>();
  }
  const std::string& where() const { return where_; }

 private:
  const Json& json_;
  std::string where_;
};

constexpr int64_t kMaxWindow = 1 << 20;

// lolcats_llama_window_tk, lolcats_long_llama_window_sw, ...
WindowKind window_kind_of(const std::string& type, const std::string& where) {
  const bool known = type.starts_with("lolcats_") && !type.ends_with("_sw_scale");
  require(known, "{}.attention_type '{}' is not supported", where, type);
  if (type.find("_window_tk") != std::string::npos) return WindowKind::kTerraced;
  if (type.find("_window_sw") != std::string::npos) return WindowKind::kSliding;
  require(type.find("_window") == std::string::npos, "{}.attention_type '{}' is not supported", where, type);
  return WindowKind::kNone;
}

std::string feature_map_of(const std::string& name, bool fullspace, const std::string& where) {
  struct Row {
    const char *theirs, *full, *half;
  };
  constexpr Row kMaps[] = {{"softmax_dim", "hedgehog", "hedgehog_half"},
                           {"exp_dim", "exp", "exp_half"},
                           {"relu", nullptr, "t2r"},
                           {"pos_elu", nullptr, "elu1"}};
  for (const Row& row : kMaps)
    if (name == row.theirs) return fullspace && row.full ? row.full : row.half;
  fail("{}.feature_map '{}' is not supported; softmax_dim, exp_dim, relu and pos_elu are", where, name);
}

void read_attention(const Section& attention, LolcatsConfig& config) {
  const std::string& where = attention.where();
  if (attention.find("attention_type")) config.window_kind = window_kind_of(attention.text("attention_type"), where);
  const Section map = attention.section("feature_map_kwargs"), kernel = attention.section("learned_kernel_kwargs");
  if (attention.find("feature_map"))
    config.feature_map = feature_map_of(attention.text("feature_map"), map.flag("fullspace"), where);
  require(map.number("eps").value_or(1e-12) == 1e-12, "{}.eps is {}, only 1e-12 is supported", map.where(),
          map.number("eps").value_or(0));
  if (attention.find("learned_kernel"))
    require(attention.text("learned_kernel") == "untied_head_einsum",
            "{}.learned_kernel '{}' is not supported; untied_head_einsum is", where, attention.text("learned_kernel"));
  require(!kernel.flag("skip_connection"), "{}.skip_connection is not supported", kernel.where());
  if (const auto window = attention.count("window_size", 1, kMaxWindow)) config.window = window;
  config.affine = attention.flag("affine_attention_factors");
  config.tied_maps = attention.flag("tie_qk_kernels");
  const Json* kept = attention.find("softmax_attentions");
  for (const Json& layer : kept && kept->is_array() ? *kept : Json::array()) {
    require(layer.is_number_integer() && layer.get<int64_t>() >= 0, "{}.softmax_attentions holds {}", where,
            json_kind(layer));
    config.softmax_layers.insert(layer.get<int64_t>());
  }
}

void read_yaml(const std::string& path, LolcatsConfig& config) {
  const Json json = parse_yaml(read_text_file(path), path);
  require(json.is_object(), "{}: holds {}, expected a mapping", path, json_kind(json));
  const Section file(json, path + ": top");
  if (file.find("attention")) read_attention(file.section("attention"), config);
  const Section finetune = file.section("finetune");
  if (!finetune.find("method")) return;
  require(finetune.text("method") == "lora", "{}.method '{}' is not supported; lora is", finetune.where(),
          finetune.text("method"));
  if (const auto alpha = finetune.section("kwargs").number("lora_alpha")) config.lora_alpha = alpha;
}

// N of "wtk64" after its prefix; nothing where something else follows.
std::optional<int64_t> number_after(std::string_view word, std::string_view prefix) {
  if (!word.starts_with(prefix)) return std::nullopt;
  int64_t value = 0;
  const char *begin = word.data() + prefix.size(), *end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end || value < 1 || value > kMaxWindow) return std::nullopt;
  return value;
}

// Words of a run's name: distill_llama3_8b_lk_smd_wtk64_fd64_w01; "sliding_w16" says the same as wsw16.
void read_name(std::string_view path, LolcatsConfig& config) {
  std::string_view before;
  while (!path.empty()) {
    const size_t end = std::min(path.find_first_of("_-=./"), path.size());
    const std::string_view word = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    const auto set = [&](WindowKind kind, std::optional<int64_t> window) {
      config.window_kind = kind;
      if (window) config.window = window;
    };
    if (const auto window = number_after(word, "wtk")) set(WindowKind::kTerraced, window);
    if (const auto window = number_after(word, "wsw")) set(WindowKind::kSliding, window);
    if (word == "terraced") set(WindowKind::kTerraced, std::nullopt);
    if (word == "sliding") set(WindowKind::kSliding, std::nullopt);
    if (before == "terraced" || before == "sliding")
      if (const auto window = number_after(word, "w")) config.window = window;
    before = word;
  }
}

// What export_lolcats() says in its file.
void read_metadata(const std::string& path, LolcatsConfig& config) {
  const Checkpoint file(path);
  const auto find = [&](const char* key) -> const std::string* {
    const auto found = file.metadata().find(std::string("margay.") + key);
    return found == file.metadata().end() ? nullptr : &found->second;
  };
  const auto number = [&](const std::string& text, auto value) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require(error == std::errc() && stop == text.data() + text.size() && value > 0, "{}: its metadata hold {}", path,
            text.substr(0, 100));
    return value;
  };
  if (const auto* map = find("feature_map")) config.feature_map = feature_map_info(*map).name;
  if (const auto* kind = find("window_kind")) config.window_kind = window_kind_from_name(*kind);
  if (const auto* window = find("window")) config.window = number(*window, int64_t{});
  if (const auto* affine = find("affine")) config.affine = *affine == "true";
  if (const auto* alpha = find("lora_alpha")) config.lora_alpha = number(*alpha, double{});
}

}  // namespace

LolcatsConfig read_lolcats_config(const LolcatsOptions& options) {
  LolcatsConfig config;
  for (const std::string& path : options.checkpoints) read_name(path, config);
  for (const std::string& path : options.checkpoints) read_metadata(path, config);
  for (const std::string& path : options.configs) read_yaml(path, config);
  if (!options.feature_map.empty()) config.feature_map = feature_map_info(options.feature_map).name;
  if (!options.window_kind.empty()) config.window_kind = window_kind_from_name(options.window_kind);
  if (options.window > 0) config.window = options.window;
  if (options.lora_alpha > 0) config.lora_alpha = options.lora_alpha;
  return config;
}

}  // namespace margay
