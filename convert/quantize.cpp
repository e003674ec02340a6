#include "convert/quantize.h"

#include <algorithm>

#include "base/error.h"
#include "convert/import_huggingface.h"
#include "convert/import_llama2c.h"
#include "convert/source.h"

namespace margay {
namespace {

DType most_bytes(const GgufFile& file) {
  std::map<DType, uint64_t> bytes;
  DType most = DType::F32;
  for (const TensorEntry& tensor : file.tensors())
    if (tensor.shape.size() >= 2 && (bytes[tensor.dtype] += tensor.bytes) > bytes[most]) most = tensor.dtype;
  return most;
}

// Query heads that share a key/value head, at most, of any architecture.
int64_t heads_per_kv(const GgufFile& file) {
  const auto most = [&](const char* key) -> int64_t {
    const GgufMetadata* entry =
        file.find_metadata(std::string(file.string_or("general.architecture", "")) + ".attention." + key);
    if (!entry) return 0;
    if (entry->type != GgufType::Array) return static_cast<int64_t>(file.u64(entry->key));
    int64_t largest = 0;  // one a layer
    for (const int64_t value : file.integers(entry->key)) largest = std::max(largest, value);
    return largest;
  };
  const int64_t heads = most("head_count"), shared = most("head_count_kv");
  return shared > 0 ? heads / shared : 1;
}

ModelFacts facts_of(const GgufFile& file, const TargetOptions& options) {
  ModelFacts facts;
  facts.tied = file.find("output.weight") == nullptr;
  for (const TensorEntry& tensor : file.tensors()) facts.layers = std::max(facts.layers, layer_of(tensor.name) + 1);
  facts.heads_per_kv = heads_per_kv(file);
  facts.importance = options.importance != nullptr;
  return facts;
}

}  // namespace

ConvertReport quantize_gguf(const std::string& in, const std::string& out, const TargetOptions& options, int threads) {
  const GgufFile file(in);
  check_output(out, file.paths());

  GgufWriter writer;
  writer.copy_metadata(file, [](std::string_view) { return true; });
  ConvertReport report;
  TargetJobs jobs(options, facts_of(file, options), report);
  for (const TensorEntry& tensor : file.tensors())
    jobs.add({tensor.name, tensor.shape, tensor.dtype, tensor.dtype, tensor.data, 0, 0, true});
  jobs.write(writer, out, threads);
  const auto twice = std::count_if(report.rows.begin(), report.rows.end(), [](const TensorTotal& row) {
    return row.from != row.to && type_info(row.from).quantized;
  });
  if (twice)
    report.notes.push_back(
        fmt::format("{} of {} tensors were quantized already: their first loss stays; start from the "
                    "F16, BF16 or F32 model where you have it",
                    twice, file.tensors().size()));
  return report;
}

DType default_type(const std::string& source) {
  DType own = DType::Q8_0;
  switch (detect_source(source)) {
    case SourceKind::kGguf:
      own = most_bytes(GgufFile(source));
      return gguf_file_type(own) ? own : DType::Q8_0;
    case SourceKind::kHuggingFace:
      own = huggingface_type(source);
      return own == DType::BF16 || own == DType::F16 ? own : DType::Q8_0;
    default:
      return DType::Q8_0;
  }
}

ConvertReport convert_model(const std::string& source, const std::string& out, const TargetOptions& options,
                            int threads, const std::string& tokenizer) {
  const SourceKind kind = detect_source(source);
  require(tokenizer.empty() || kind == SourceKind::kLlama2c, "{}: has its own tokenizer; --tokenizer is for llama2.c",
          source);
  switch (kind) {
    case SourceKind::kGguf:
      return quantize_gguf(source, out, options, threads);
    case SourceKind::kHuggingFace:
      return import_huggingface(source, out, options, threads);
    case SourceKind::kLlama2c:
      return import_llama2c(source, tokenizer, out, options, threads);
    case SourceKind::kSafetensors:
    case SourceKind::kPyTorch:
      break;
  }
  fail("{}: give the whole model folder, not only its weights", source);
}

}  // namespace margay
