// The tensors of a model on their way to another type: what convert and quantize share.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "convert/target_type.h"
#include "convert/tensor_stream.h"
#include "formats/importance_matrix.h"

namespace margay {

// How a model is to be written.
struct TargetOptions {
  TargetOptions(ModelType wanted) : type(wanted) {}  // NOLINT: a type alone is a wish
  TargetOptions(DType wanted) : type(wanted) {}      // NOLINT

  ModelType type;
  std::vector<TensorType> overrides = {};
  const ImportanceMatrix* importance = nullptr;  // weighs the quantizers' errors
};

// Chooses each tensor's type and importance, and notes in the report what the user should know. Options and report must
// outlive it, and it the writing of its jobs.
class TargetJobs {
 public:
  TargetJobs(const TargetOptions& options, ModelFacts facts, ConvertReport& report);

  // The job with its `to` and `importance` set: choose_type()'s, or `from` where its elements are no weights. Throws
  // Error where the importance matrix has another number of columns.
  void add(TensorJob job);
  // Sets general.file_type, general.quantization_version and, with an importance matrix, the keys that llama.cpp writes
  // about it; announces and writes all jobs (write_tensors).
  void write(GgufWriter& writer, const std::string& out, int threads);

 private:
  const TargetOptions& options_;
  const ModelFacts facts_;
  ConvertReport& report_;
  std::vector<TensorJob> jobs_;
  std::map<std::string, std::vector<float>> importance_;  // by tensor; the jobs point here
  int64_t unweighted_ = 0;                                // quantized tensors that the importance matrix lacks
};

}  // namespace margay
