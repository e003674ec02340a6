// Gemma 2: norms before and after attention and network (their weights hold 1 + w), embeddings scaled by sqrt(C), GELU
// gates, soft caps on scores and logits, a window in every other layer.
#include <cmath>

#include "models/architectures.h"

namespace margay {

void build_gemma2(ModelBuilder& m) {
  const auto scale = static_cast<float>(std::sqrt(static_cast<double>(m.config.width)));
  Tensor h = affine(m.token_embedding(), scale, 0);  // [B, T, C]
  for (int64_t l = 0; l < m.layers(); ++l) {
    const Tensor y = m.attention(m.norm(h, block_name(l, "attn_norm")), l, {});
    h = add(h, m.norm(y, block_name(l, "post_attention_norm")));
    const Tensor z = m.gated_feed_forward(m.norm(h, block_name(l, "ffn_norm")), l, Activation::kGelu);
    h = add(h, m.norm(z, block_name(l, "post_ffw_norm")));
  }
  m.head(h);
}

}  // namespace margay
