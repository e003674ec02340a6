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

ConvertReport import_llama2c(const std::string& path, const std::string& tokenizer, const std::string& out,
                             const TargetOptions& options, int threads) {
  const Llama2c source(path);
  const std::string pieces = tokenizer.empty() ? (fs::path(path).parent_path() / "tokenizer.bin").string() : tokenizer;
  require(file_exists(pieces), "{}: its tokenizer {} does not exist; name it with --tokenizer", path, pieces);
  check_output(out, {path, pieces});

  GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.set("general.type", "model");
  writer.set("general.name", fs::path(path).stem().string());
  const ModelConfig config = model_config(source);
  write_model_config(writer, config, {});
  write_llama2c_tokenizer(pieces, config.vocabulary, writer);

  ConvertReport report;
  const ModelFacts facts{!source.has("output.weight"), config.layers, config.heads / config.kv_heads,
                         options.importance != nullptr};
  TargetJobs jobs(options, facts, report);
  for (const TensorEntry& tensor : source.tensors())
    jobs.add({tensor.name, tensor.shape, tensor.dtype, tensor.dtype, tensor.data});
  jobs.write(writer, out, threads);
  return report;
}

}  // namespace margay
