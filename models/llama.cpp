// Llama 1 to 3.2: RMS norms, RoPE, grouped-query attention, SwiGLU, tied head or not.
#include "models/llama.h"

namespace margay {

void build_llama(ModelBuilder& m) {
  Tensor h = m.token_embedding();  // [B, T, C]
  for (int64_t l = 0; l < m.layers(); ++l) {
    h = add(h, m.attention(m.norm(h, block_name(l, "attn_norm.weight")), l, /*half_split_rope=*/false));
    h = add(h, m.feed_forward(m.norm(h, block_name(l, "ffn_norm.weight")), l));
  }
  m.head(h);
}

}  // namespace margay
