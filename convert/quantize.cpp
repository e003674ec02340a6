#include "convert/quantize.h"

#include <algorithm>

#include "base/error.h"
#include "convert/import_huggingface.h"
#include "convert/import_llama2c.h"
#include "convert/source.h"

namespace margay {
namespace {

// Integers and the like are no weights: copied as they are.
bool is_weight(DType type) {
  return type_info(type).quantized || type == DType::F32 || type == DType::F16 || type == DType::BF16 ||
         type == DType::F64;
}

DType most_bytes(const GgufFile& file) {
  std::map<DType, uint64_t> bytes;
  DType most = DType::F32;
  for (const TensorEntry& tensor : file.tensors())
    if (tensor.shape.size() >= 2 && (bytes[tensor.dtype] += tensor.bytes) > bytes[most]) most = tensor.dtype;
  return most;
}

}  // namespace

ConvertReport quantize_gguf(const std::string& in, const std::string& out, DType type, int threads,
                            const std::vector<TensorType>& overrides) {
  const auto file_type = gguf_file_type(type);
  require(file_type.has_value(), "{}: models of type {} cannot be written yet", out, type_name(type));
  const GgufFile file(in);
  check_output(out, file.paths());

  GgufWriter writer;
  writer.copy_metadata(file, [](std::string_view) { return true; });
  writer.set("general.file_type", *file_type);
  writer.set("general.quantization_version", uint32_t{2});

  ConvertReport report;
  report.type = type;
  const bool tied = file.find("output.weight") == nullptr;
  int64_t layers = 0;
  for (const TensorEntry& tensor : file.tensors()) layers = std::max(layers, layer_of(tensor.name) + 1);
  int64_t twice = 0;  // tensors quantized a second time
  std::vector<TensorJob> jobs;
  for (const TensorEntry& tensor : file.tensors()) {
    TargetChoice choice = choose_type(tensor.name, tensor.shape, type, tied, layers, overrides);
    if (!is_weight(tensor.dtype)) choice = {tensor.dtype};
    twice += choice.type != tensor.dtype && type_info(tensor.dtype).quantized;
    report.fallbacks += choice.fallback;
    if (choice.better)
      report.notes.push_back(
          fmt::format("{} is {}: the output head keeps more bits", tensor.name, type_name(choice.type)));
    jobs.push_back({tensor.name, tensor.shape, tensor.dtype, choice.type, tensor.data});
  }
  if (twice)
    report.notes.push_back(
        fmt::format("{} of {} tensors were quantized already: their first loss stays; start from the "
                    "F16, BF16 or F32 model where you have it",
                    twice, file.tensors().size()));
  write_tensors(writer, out, jobs, threads, report);
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

ConvertReport convert_model(const std::string& source, const std::string& out, std::optional<DType> type, int threads,
                            const std::vector<TensorType>& overrides, const std::string& tokenizer) {
  const SourceKind kind = detect_source(source);
  require(tokenizer.empty() || kind == SourceKind::kLlama2c, "{}: has its own tokenizer; --tokenizer is for llama2.c",
          source);
  const DType wanted = type ? *type : default_type(source);
  switch (kind) {
    case SourceKind::kGguf:
      return quantize_gguf(source, out, wanted, threads, overrides);
    case SourceKind::kHuggingFace:
      return import_huggingface(source, out, wanted, threads, overrides);
    case SourceKind::kLlama2c:
      return import_llama2c(source, tokenizer, out, wanted, threads, overrides);
    case SourceKind::kSafetensors:
    case SourceKind::kPyTorch:
      break;
  }
  fail("{}: give the whole model folder, not only its weights", source);
}

}  // namespace margay
