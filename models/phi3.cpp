// Phi-3, 3.5 and 4: llama whose files hold q, k, v and gate, up as one matrix each (weights.h splits them) and whose
// long variants choose between two sets of RoPE factors (rope.h).
#include "models/architectures.h"

namespace margay {

void build_phi3(ModelBuilder& m) { m.pre_norm_decoder({}); }

}  // namespace margay
