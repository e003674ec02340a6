// Qwen2 and 2.5: llama with biases on queries, keys and values.
#include "models/architectures.h"

namespace margay {

void build_qwen2(ModelBuilder& m) { m.pre_norm_decoder({.qkv_bias = true}); }

}  // namespace margay
