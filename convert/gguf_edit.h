// A GGUF model with some of it changed: what the linearize pipeline writes.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "convert/tensor_stream.h"
#include "models/config.h"
#include "models/weights.h"

namespace margay {

// A tensor from memory. `weight.data` must live until the file is written.
struct EditedTensor {
  WeightRef weight;
  DType wanted = DType::F32;  // in the file; fitting_type() where its blocks do not fit the rows
  std::vector<LowRank> merged = {};
};

struct ModelEdit {
  ModelConfig config;                           // of the base, or changed
  LinearConfig linear;                          // linear.any(): the file becomes a <base>-linear one
  std::map<std::string, EditedTensor> tensors;  // in place of the base's tensor of that name, else added at the end
  // Set last, over what the base says: general.name, margay.provenance.* ...
  std::vector<std::pair<std::string, GgufValue>> metadata;
};

// Writes base with the edit: the base's metadata (its keys <old architecture>.* under the new architecture's name),
// its tensors under model_weights()' names in their order, copied bit for bit where they are not replaced, and the
// added ones by name.
// general.file_type becomes that of most of the weights. Throws Error as write_tensors() does, and where `path` is the
// base's own file.
ConvertReport write_model(const std::string& path, const GgufFile& base, const ModelEdit& edit, int threads);

}  // namespace margay
