// What a path given by the user is.
#pragma once
#include <string>

namespace margay {

enum class SourceKind { kGguf, kSafetensors, kPyTorch, kHuggingFace, kLlama2c };

// Looks at the file's first bytes, or at what the folder holds. Throws Error saying what is missing.
SourceKind detect_source(const std::string& path);

}  // namespace margay
