// Llama 1 to 3.2 and Mistral, whose windows are the configuration's: RMS norms, RoPE, grouped-query attention, SwiGLU,
// tied head or not.
#include "models/architectures.h"

namespace margay {

void build_llama(ModelBuilder& m) { m.pre_norm_decoder({}); }

}  // namespace margay
