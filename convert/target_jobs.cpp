#include "convert/target_jobs.h"

#include "base/error.h"

namespace margay {
namespace {

// Integers and the like are no weights: copied as they are.
bool is_weight(DType type) {
  return type_info(type).quantized || type == DType::F32 || type == DType::F16 || type == DType::BF16 ||
         type == DType::F64;
}

// Types whose quantizers search, and so can weigh.
bool weighs(DType type) { return type_info(type).quantized && type != DType::Q8_0; }

}  // namespace

TargetJobs::TargetJobs(const TargetOptions& options, ModelFacts facts, ConvertReport& report)
    : options_(options), facts_(facts), report_(report) {
  report_.type = options.type;
}

void TargetJobs::add(TensorJob job) {
  TargetChoice choice{job.from};
  if (is_weight(job.from) || is_float(job.from))
    choice = choose_type(job.name, job.shape, options_.type, facts_, options_.overrides);
  job.to = choice.type;
  report_.fallbacks += choice.fallback;
  if (choice.better)
    report_.notes.push_back(fmt::format("{} is {}: the output head keeps more bits", job.name, type_name(choice.type)));
  if (options_.importance && weighs(job.to) && job.to != job.from) {
    std::vector<float> weights = options_.importance->weights(job.name, job.shape.back());
    if (weights.empty()) ++unweighted_;
    else job.importance = importance_.emplace(job.name, std::move(weights)).first->second.data();
  }
  jobs_.push_back(std::move(job));
}

void TargetJobs::write(GgufWriter& writer, const std::string& out, int threads) {
  writer.set("general.file_type", options_.type.file_type);
  writer.set("general.quantization_version", uint32_t{2});
  if (const ImportanceMatrix* matrix = options_.importance) {
    writer.set("quantize.imatrix.file", matrix->origin);
    if (!matrix->datasets.empty()) writer.set("quantize.imatrix.dataset", matrix->datasets.front());
    writer.set("quantize.imatrix.entries_count", static_cast<uint32_t>(matrix->entries.size()));
    writer.set("quantize.imatrix.chunks_count", static_cast<uint32_t>(matrix->chunks));
    if (unweighted_ > 0)
      report_.notes.push_back(fmt::format("{} of the quantized tensors {} not in the importance matrix {}", unweighted_,
                                          unweighted_ == 1 ? "is" : "are", matrix->origin));
  }
  write_tensors(writer, out, jobs_, threads, report_);
}

}  // namespace margay
