// GGUF to GGUF in another type.
#pragma once
#include <string>

#include "base/dtype.h"
#include "convert/target_jobs.h"

namespace margay {

// Writes every tensor of `in` in the type that choose_type() gives it and copies all metadata but general.file_type.
// Works for softmax and linearized models of any architecture. Weights that are quantized already are dequantized
// first, which the report notes.
ConvertReport quantize_gguf(const std::string& in, const std::string& out, const TargetOptions& options, int threads);

// A Hugging Face folder, a GGUF file or a llama2.c checkpoint (with its `tokenizer`; empty: the one beside it) to GGUF.
ConvertReport convert_model(const std::string& source, const std::string& out, const TargetOptions& options,
                            int threads, const std::string& tokenizer = {});

// The source's own type where margay writes it (BF16 and F16 checkpoints; any such GGUF), else Q8_0.
DType default_type(const std::string& source);

}  // namespace margay
