// llama2.c checkpoints to GGUF.
#pragma once
#include <string>

#include "convert/target_jobs.h"

namespace margay {

// Converts a float32 checkpoint (formats/llama2c.h) and `tokenizer`, or where that is empty the tokenizer.bin beside the
// checkpoint. Throws Error in one line on anything missing or damaged; `out` is then as it was.
ConvertReport import_llama2c(const std::string& path, const std::string& tokenizer, const std::string& out,
                             const TargetOptions& options, int threads);

}  // namespace margay
