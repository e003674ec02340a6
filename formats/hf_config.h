// config.json of a Hugging Face checkpoint, in the form of transformers 5 and the older one.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace margay {

struct RopeConfig {
  std::string type = "default";  // default, llama3, linear, dynamic, yarn, longrope...
  double theta = 10000.0;
  double factor = 1.0, low_freq_factor = 1.0, high_freq_factor = 4.0;
  bool has_factor = false;
  int64_t original_max_position_embeddings = 0;                 // 0 when the file has none
  double attention_factor = 0, mscale = 0, mscale_all_dim = 0;  // 0 when the file has none
  double beta_fast = 32, beta_slow = 1;                         // YaRN
  bool truncate = true;                                         // YaRN: the ramp's ends are whole numbers
  std::vector<double> short_factor, long_factor;                // longrope
};

// Typed, range-checked access. A key whose value is null counts as absent. "a.b" looks inside object a. Throws Error
// naming the file and the key.
class HfConfig {
 public:
  // A folder with config.json, or the file itself.
  explicit HfConfig(const std::string& folder_or_file);

  std::string model_type;    // "llama", "qwen2"...: model_type, or derived from architectures
  std::string architecture;  // "LlamaForCausalLM"; empty when the file has none

  const std::string& path() const { return path_; }
  bool has(std::string_view key) const;
  bool is_null(std::string_view key) const;     // the key is there, and its value is null
  int64_t integer(std::string_view key) const;  // a whole number; 4.0 counts as one
  int64_t integer_or(std::string_view key, int64_t otherwise) const;
  double number(std::string_view key) const;
  double number_or(std::string_view key, double otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::string string_or(std::string_view key, std::string_view otherwise) const;
  std::vector<int64_t> integer_list(std::string_view key) const;  // a number or a list of them; empty when absent
  std::vector<double> number_list(std::string_view key) const;
  std::vector<std::string> string_list(std::string_view key) const;

  // rope_parameters, or rope_theta with rope_scaling {type | rope_type}.
  RopeConfig rope() const;

 private:
  const nlohmann::json* find(std::string_view key) const;
  const nlohmann::json& get(std::string_view key) const;

  std::string path_;
  std::shared_ptr<const nlohmann::json> json_;
};

}  // namespace margay
