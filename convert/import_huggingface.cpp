#include "convert/import_huggingface.h"

#include <filesystem>

#include "base/error.h"
#include "convert/huggingface_models.h"
#include "convert/target_type.h"
#include "formats/checkpoint.h"
#include "formats/tokenizer.h"

namespace margay {
namespace {

namespace fs = std::filesystem;

// One line with everything that is missing, before anything is read.
void check_folder(const std::string& folder) {
  require(file_exists(folder), "{}: does not exist", folder);
  require(is_directory(folder), "{}: is a file, expected a Hugging Face model folder", folder);
  const auto has = [&](const char* name) { return file_exists(folder + "/" + name); };
  std::string missing;
  const auto miss = [&](const char* name) { missing += (missing.empty() ? "" : ", ") + std::string(name); };
  if (!has("config.json")) miss("config.json");
  if (Checkpoint::weights_of(folder).empty()) miss("model.safetensors");
  if (!has("tokenizer.json") && !has("tokenizer.model")) miss("tokenizer.json");
  if (!missing.empty()) fail("{}: lacks {}; copy the whole model folder, as downloaded", folder, missing);
}

// The files that the conversion reads and must not overwrite.
std::vector<std::string> input_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) files.push_back(entry.path().string());
  return files;
}

std::string folder_name(const std::string& folder) {
  std::error_code error;
  const fs::path path = fs::canonical(folder, error);
  return error || path.filename().empty() ? "model" : path.filename().string();
}

const std::byte* as_bytes(const std::vector<float>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}

}  // namespace

DType huggingface_type(const std::string& folder) {
  check_folder(folder);
  const Checkpoint source(folder);
  std::map<DType, uint64_t> bytes;
  DType most = DType::F32;
  for (const TensorEntry& tensor : source.tensors())
    if (tensor.shape.size() >= 2 && (bytes[tensor.dtype] += tensor.bytes) > bytes[most]) most = tensor.dtype;
  return most;
}

ConvertReport import_huggingface(const std::string& folder, const std::string& out, const TargetOptions& options,
                                 int threads) {
  check_folder(folder);
  check_output(out, input_files(folder));
  const HfConfig hf(folder);
  const HfModel& model = hf_model(hf);
  const HfModelConfig read = read_model_config(hf, model);
  const ModelConfig& config = read.model;
  const bool tied = read.tensors.tied;
  const Checkpoint source(folder);
  const std::vector<TensorName> names = hf_tensors(model, config, read.tensors);
  check_tensors(source, hf, names, tied);
  const Tokenizer tokenizer = Tokenizer::from_huggingface(folder);
  require(tokenizer.vocab_size() <= config.vocabulary,
          "{}: the tokenizer has {} tokens, config.json's vocab_size is {}", folder, tokenizer.vocab_size(),
          config.vocabulary);

  GgufWriter writer;
  writer.set("general.architecture", config.architecture);  // GGUF's first key
  writer.set("general.type", "model");
  writer.set("general.name", folder_name(folder));
  write_model_config(writer, config, {});
  tokenizer.to_gguf(writer, config.vocabulary);

  ConvertReport report;
  const ModelFacts facts{tied, config.layers, config.heads / config.kv_heads, options.importance != nullptr};
  TargetJobs jobs(options, facts, report);
  for (const TensorName& name : names) {
    const TensorEntry& tensor = source.tensor(name.source);
    jobs.add({name.target, name.shape, tensor.dtype, tensor.dtype, tensor.data, name.rope ? config.head_dim : 0,
              name.plus, true});
  }
  for (const RopeFactors& factors : read.rope_factors)
    jobs.add({factors.tensor,
              {static_cast<int64_t>(factors.values.size())},
              DType::F32,
              DType::F32,
              as_bytes(factors.values)});
  jobs.write(writer, out, threads);
  return report;
}

}  // namespace margay
