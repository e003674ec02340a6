// Hugging Face folders to GGUF.
#pragma once
#include <string>

#include "base/dtype.h"
#include "convert/target_jobs.h"

namespace margay {

// Converts a folder with config.json, the weights (model.safetensors or pytorch_model.bin, or the index of one of them
// and its shards) and tokenizer.json. Streams: memory
// does not grow with the model. Throws Error in one line on anything missing, damaged or not there yet; `out` is then
// as it was.
ConvertReport import_huggingface(const std::string& folder, const std::string& out, const TargetOptions& options,
                                 int threads);

// The type that most of the checkpoint's weights have: BF16, F16, F32, F64 or a float of 8 bits.
DType huggingface_type(const std::string& folder);

}  // namespace margay
