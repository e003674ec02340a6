// llama2.c checkpoints to GGUF.
#pragma once
#include <string>

#include "convert/target_type.h"
#include "convert/tensor_stream.h"

namespace margay {

// Converts a float32 checkpoint (formats/llama2c.h) and `tokenizer`, or where that is empty the tokenizer.bin beside the
// checkpoint. Throws Error in one line on anything missing or damaged; `out` is then as it was.
ConvertReport import_llama2c(const std::string& path, const std::string& tokenizer, const std::string& out, DType type,
                             int threads, const std::vector<TensorType>& overrides = {});

}  // namespace margay
