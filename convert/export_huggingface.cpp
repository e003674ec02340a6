// A GGUF model as a Hugging Face folder.
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "convert/export.h"
#include "convert/huggingface_models.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/tokenizer.h"
#include "models/rope.h"
#include "models/rope_permutation.h"
#include "ops/quant/convert.h"

namespace margay {
namespace {

using Json = nlohmann::ordered_json;

// The numbers of the llama3 scaling that gives exactly these factors.
Json rope_parameters(const GgufFile& model, const ModelConfig& config) {
  Json json = {{"rope_theta", config.rope_base}, {"rope_type", "default"}};
  const TensorEntry* tensor = model.find("rope_freqs.weight");
  if (!tensor) return json;
  const std::vector<float> factors = to_float(*tensor);
  Llama3Scaling rope;
  rope.factor = factors.empty() ? 1 : static_cast<double>(factors.back());
  // GGUF keeps the factors alone; these are the numbers in use, found by trying.
  for (const double low : {1.0, 2.0})
    for (const double high : {4.0, 8.0, 32.0})
      for (int64_t original = 16; original <= 1 << 20; original *= 2) {
        rope.low_freq_factor = low, rope.high_freq_factor = high, rope.original_context = original;
        if (high <= low || llama3_rope_factors(rope, config.rope_base, config.rope_dimensions) != factors) continue;
        json["rope_type"] = "llama3";
        json["factor"] = rope.factor;
        json["low_freq_factor"] = low;
        json["high_freq_factor"] = high;
        json["original_max_position_embeddings"] = original;
        return json;
      }
  fail("{}: its rope_freqs.weight is no llama3 scaling with the usual numbers", model.path());
}

Json config_json(const GgufFile& model, const ModelConfig& config, bool tied, const Tokenizer& tokenizer) {
  Json json = {{"architectures", {"LlamaForCausalLM"}},
               {"model_type", "llama"},
               {"hidden_size", config.width},
               {"intermediate_size", config.feed_forward},
               {"num_hidden_layers", config.layers},
               {"num_attention_heads", config.heads},
               {"num_key_value_heads", config.kv_heads},
               {"head_dim", config.head_dim},
               {"vocab_size", config.vocabulary},
               {"max_position_embeddings", config.context},
               {"rms_norm_eps", nullptr},
               {"hidden_act", "silu"},
               {"attention_bias", false},
               {"mlp_bias", false},
               {"tie_word_embeddings", tied},
               {"rope_parameters", rope_parameters(model, config)}};
  // The shortest decimal that is this float32 again.
  json["rms_norm_eps"] = Json::parse(fmt::format("{}", config.norm_epsilon));
  if (tokenizer.bos()) json["bos_token_id"] = *tokenizer.bos();
  if (!tokenizer.eos().empty()) json["eos_token_id"] = tokenizer.eos();
  return json;
}

Json tokenizer_settings(const Tokenizer& tokenizer) {
  Json json = {{"tokenizer_class", "PreTrainedTokenizerFast"}};
  if (tokenizer.bos()) json["bos_token"] = tokenizer.token_text(*tokenizer.bos());
  if (!tokenizer.eos().empty()) json["eos_token"] = tokenizer.token_text(tokenizer.eos().front());
  if (!tokenizer.chat_template().empty()) json["chat_template"] = tokenizer.chat_template();
  return json;
}

// Rows of a GGUF tensor in Hugging Face's order and a type that safetensors has.
class Rows {
 public:
  Rows(const TensorEntry& tensor, bool rope, int64_t head_dim)
      : tensor_(tensor), head_dim_(rope ? head_dim : 0), columns_(tensor.shape.back()) {}
  static DType exported(DType type) { return type_info(type).quantized ? DType::F32 : type; }

  void write(const TensorSink& sink) const {
    const int64_t bytes = row_bytes(tensor_.dtype, columns_), rows = columns_ ? tensor_.elements() / columns_ : 0;
    std::vector<std::byte> aligned(static_cast<size_t>(bytes));
    std::vector<float> values(static_cast<size_t>(columns_));
    for (int64_t r = 0; r < rows; ++r) {
      const std::byte* row = tensor_.data + (head_dim_ ? interleaved_row(r, head_dim_) : r) * bytes;
      if (!type_info(tensor_.dtype).quantized) {
        sink(row, static_cast<size_t>(bytes));
        continue;
      }
      std::copy_n(row, bytes, aligned.begin());
      dequantize_row(tensor_.dtype, aligned.data(), values.data(), columns_);
      sink(values.data(), values.size() * sizeof(float));
    }
  }

 private:
  const TensorEntry& tensor_;
  int64_t head_dim_, columns_;
};

void write_weights(const GgufFile& model, const ModelConfig& config, bool tied, const std::string& out) {
  std::vector<TensorEntry> entries;
  std::vector<Rows> rows;
  uint64_t bytes = 0;
  for (const TensorName& name : hf_tensors(hf_model(config.architecture), config, {.tied = tied})) {
    const TensorEntry& tensor = model.tensor(name.target);
    require(tensor.shape == name.shape, "{}: tensor {} has shape {}, expected {}", model.path(), name.target,
            shape_text(tensor.shape), shape_text(name.shape));
    const DType type = Rows::exported(tensor.dtype);
    entries.push_back({name.source, type, tensor.shape, nullptr, tensor_bytes(type, tensor.shape, name.target)});
    rows.emplace_back(tensor, name.rope, config.head_dim);
    bytes += entries.back().bytes;
  }
  Progress progress("writing " + out, static_cast<int64_t>(bytes), "B");
  write_safetensors(out, entries, {{"format", "pt"}}, [&](size_t index, const TensorSink& sink) {
    throw_if_interrupted();
    rows[index].write(sink);
    progress.advance(static_cast<int64_t>(entries[index].bytes));
  });
  progress.finish();
}

}  // namespace

void export_huggingface(const GgufFile& model, const std::string& folder) {
  const ModelConfig config = read_model_config(model);
  require(config.architecture == "llama", "{}: models of architecture {} cannot be exported yet; llama can",
          model.path(), config.architecture);
  require(model.has("tokenizer.huggingface.json"), "{}: holds no tokenizer.json (key tokenizer.huggingface.json)",
          model.path());
  const bool tied = model.find("output.weight") == nullptr;
  const Tokenizer tokenizer = Tokenizer::from_gguf(model);
  const Json settings = config_json(model, config, tied, tokenizer);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(is_directory(folder), "{}: cannot create this folder: {}", folder, error.message());
  write_weights(model, config, tied, folder + "/model.safetensors");
  const auto write = [&](const char* name, const Json& json) {
    write_text_file(folder + "/" + name, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  };
  write_text_file(folder + "/tokenizer.json", model.string("tokenizer.huggingface.json"));
  write("tokenizer_config.json", tokenizer_settings(tokenizer));
  write("generation_config.json", {{"eos_token_id", tokenizer.eos()}});
  if (read_linear_config(model, config).any()) export_lolcats(model, {}, folder + "/lolcats.safetensors");
  write("config.json", settings);
}

}  // namespace margay
