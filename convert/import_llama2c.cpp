#include "convert/import_llama2c.h"

#include <filesystem>

#include "base/error.h"
#include "formats/llama2c.h"
#include "models/config.h"

namespace margay {
namespace {

namespace fs = std::filesystem;

ModelConfig model_config(const Llama2c& source) {
  ModelConfig config;
  config.architecture = "llama";
  config.layers = source.layers;
  config.width = source.width;
  config.feed_forward = source.feed_forward;
  config.vocabulary = source.vocabulary;
  config.context = source.context;
  config.heads = source.heads;
  config.kv_heads = source.kv_heads;
  config.head_dim = config.rope_dimensions = source.width / source.heads;
  config.norm_epsilon = 1e-5f;  // llama2.c's own
  return config;
}

}  // namespace

ConvertReport import_llama2c(const std::string& path, const std::string& tokenizer, const std::string& out, DType type,
                             int threads, const std::vector<TensorType>& overrides) {
  const auto file_type = gguf_file_type(type);
  require(file_type.has_value(), "{}: models of type {} cannot be written yet", out, type_name(type));
  const Llama2c source(path);
  const std::string pieces = tokenizer.empty() ? (fs::path(path).parent_path() / "tokenizer.bin").string() : tokenizer;
  require(file_exists(pieces), "{}: its tokenizer {} does not exist; name it with --tokenizer", path, pieces);
  check_output(out, {path, pieces});

  GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.set("general.type", "model");
  writer.set("general.name", fs::path(path).stem().string());
  writer.set("general.file_type", *file_type);
  writer.set("general.quantization_version", uint32_t{2});
  const ModelConfig config = model_config(source);
  write_model_config(writer, config, {});
  write_llama2c_tokenizer(pieces, config.vocabulary, writer);

  ConvertReport report;
  report.type = type;
  const bool tied = !source.has("output.weight");
  std::vector<TensorJob> jobs;
  for (const TensorEntry& tensor : source.tensors()) {
    const TargetChoice choice = choose_type(tensor.name, tensor.shape, type, tied, config.layers, overrides);
    report.fallbacks += choice.fallback;
    jobs.push_back({tensor.name, tensor.shape, tensor.dtype, choice.type, tensor.data});
  }
  write_tensors(writer, out, jobs, threads, report);
  return report;
}

}  // namespace margay
