// Phi-1, 1.5 and 2: one layer norm feeds attention and a plain GELU network side by side; RoPE turns a part of each
// head; every projection has a bias.
#include "models/architectures.h"

namespace margay {

void build_phi2(ModelBuilder& m) {
  Tensor h = m.token_embedding();  // [B, T, C]
  for (int64_t l = 0; l < m.layers(); ++l) {
    const Tensor x = m.norm(h, block_name(l, "attn_norm"));
    const Tensor y = m.attention(x, l, {.qkv_bias = true});
    h = add(h, add(y, m.plain_feed_forward(x, l)));
  }
  m.head(h);
}

}  // namespace margay
