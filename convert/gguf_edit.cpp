#include "convert/gguf_edit.h"

#include <set>

#include "base/error.h"
#include "convert/target_type.h"

namespace margay {
namespace {

// The base's keys under the new architecture's name. An older linearization's keys go: write_model_config() writes them
// anew where they still hold.
void copy_renamed(GgufWriter& writer, const GgufFile& base, const ModelEdit& edit) {
  const std::string old_prefix = std::string(base.string("general.architecture")) + ".";
  const std::string new_prefix = edit.config.architecture + (edit.linear.any() ? "-linear." : ".");
  for (const GgufMetadata& entry : base.metadata()) {
    std::string key(entry.key);
    if (key.starts_with(old_prefix)) {
      if (key.starts_with(old_prefix + "attention.linear.")) continue;
      key = new_prefix + key.substr(old_prefix.size());
    }
    writer.set(key,
               {entry.type, std::string(reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size())});
  }
}

TensorJob edited_job(const std::string& name, const EditedTensor& edited, ConvertReport& report) {
  const Shape& shape = edited.weight.shape;
  TensorJob job{name,
                {shape.dim, shape.dim + shape.rank},
                edited.weight.dtype,
                edited.wanted,
                static_cast<const std::byte*>(edited.weight.data)};
  job.merged = edited.merged;
  require(!job.shape.empty(), "tensor {} has no shape", name);
  job.to = fitting_type(edited.wanted, job.shape.back());
  report.fallbacks += job.to != edited.wanted;
  return job;
}

// The type of most of the matrices' bytes.
DType main_type(const std::vector<TensorJob>& jobs) {
  std::map<DType, uint64_t> bytes;
  DType most = DType::F32;
  for (const TensorJob& job : jobs) {
    if (job.shape.size() != 2) continue;
    if ((bytes[job.to] += tensor_bytes(job.to, job.shape, job.name)) > bytes[most]) most = job.to;
  }
  return most;
}

}  // namespace

ConvertReport write_model(const std::string& path, const GgufFile& base, const ModelEdit& edit, int threads) {
  check_output(path, base.paths());
  ConvertReport report;
  std::vector<TensorJob> jobs;
  std::set<std::string_view> known;
  const std::vector<NamedWeight> weights = model_weights(base, edit.config);
  for (const auto& [name, weight] : weights) {
    const auto edited = edit.tensors.find(name);
    const EditedTensor as_it_is{weight, weight.dtype};
    jobs.push_back(edited_job(name, edited != edit.tensors.end() ? edited->second : as_it_is, report));
    known.insert(name);
  }
  for (const auto& [name, edited] : edit.tensors)
    if (!known.contains(name)) jobs.push_back(edited_job(name, edited, report));

  GgufWriter writer;
  copy_renamed(writer, base, edit);
  write_model_config(writer, edit.config, edit.linear);
  const DType most = main_type(jobs);
  if (gguf_file_type(most)) report.type = most, writer.set("general.file_type", report.type.file_type);
  for (const auto& [key, value] : edit.metadata) writer.set(key, value);
  write_tensors(writer, path, jobs, threads, report);
  return report;
}

}  // namespace margay
