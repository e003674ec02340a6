// Qwen3: llama with an RMS norm over each head of the queries and keys.
#include "models/architectures.h"

namespace margay {

void build_qwen3(ModelBuilder& m) { m.pre_norm_decoder({.head_norms = true}); }

}  // namespace margay
