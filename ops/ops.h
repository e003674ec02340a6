// Every op, as a function that records it. B sequences of T tokens; H query heads, HK key/value heads (HK divides H,
// query head h reads key/value head h / (H / HK)); D elements a head, F features. float32 unless said otherwise.
#pragma once
#include <utility>

#include "ops/graph.h"
#include "ops/params.h"

namespace margay {

// --- primitives: the words that compose() writes definitions in -----------------------------------------------------
Tensor unary(Tensor x, UnaryKind kind);
Tensor binary(Tensor a, Tensor b, BinaryKind kind);  // shapes broadcast as in numpy, ranks equal or b's shorter
Tensor reduce(Tensor x, ReduceKind kind, int axis);  // the axis stays, with length 1; negative axes count from the end
Tensor affine(Tensor x, float factor, float offset);
Tensor sum_to(Tensor x, Shape shape);  // sums over the axes along which `shape` was broadcast to x's
Tensor matmul(Tensor a, Tensor b, bool transpose_a = false,
              bool transpose_b = false);  // leading axes are batches, broadcast
Tensor reshape(Tensor x, Shape shape);
Tensor permute(Tensor x, std::initializer_list<int> order);
Tensor slice(Tensor x, int axis, int64_t begin, int64_t size);
Tensor concat(Tensor a, Tensor b, int axis);
inline Tensor add(Tensor a, Tensor b) { return binary(a, b, BinaryKind::kAdd); }
inline Tensor subtract(Tensor a, Tensor b) { return binary(a, b, BinaryKind::kSubtract); }
inline Tensor multiply(Tensor a, Tensor b) { return binary(a, b, BinaryKind::kMultiply); }
inline Tensor divide(Tensor a, Tensor b) { return binary(a, b, BinaryKind::kDivide); }
// cap tanh(x / cap), where tanh(u) = 2 sigmoid(2u) - 1; x itself where cap is 0.
inline Tensor soft_cap(Tensor x, float cap) {
  return cap > 0 ? affine(unary(affine(x, 2 / cap, 0), UnaryKind::kSigmoid), 2 * cap, -cap) : x;
}

// --- layers ---------------------------------------------------------------------------------------------------------
// Rows of `table` [V, C] (any type) for `ids` [...] (I32, within [0, V)): [..., C].
Tensor embedding(Tensor table, Tensor ids);
// x [..., K] times the rows of `weight` [N, K] (any type): [..., N]. Quantized weights multiply in int8 with the
// activation quantized a block at a time (once for all products that share x), or in float32 when `float_products`.
Tensor linear(Tensor x, Tensor weight, bool float_products = false);
Tensor quantize_rows(Tensor x);  // [..., K] -> Q8_ACT of the same shape
// x / sqrt(mean(x^2) + epsilon) * weight, over the last axis; weight [C].
Tensor rms_norm(Tensor x, Tensor weight, float epsilon);
// (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias, over the last axis; weight, bias [C].
Tensor layer_norm(Tensor x, Tensor weight, Tensor bias, float epsilon);
// cos and sin of position * frequency, computed in double: positions [N] I32 -> [N, dimensions]: `dimensions`/2
// cosines, then as many sines. factors (optional) [dimensions/2] divide the frequencies base^(-2i/dimensions) (GGUF
// rope_freqs). Cosines and sines are multiplied by `magnitude` (YaRN's and longrope's attention factor).
Tensor rope_table(Tensor positions, int dimensions, double base, Tensor factors = {}, float magnitude = 1);
// Rotates the first `dimensions` of each head: x [B, T, H, D], table [B*T, dimensions].
Tensor rope(Tensor x, Tensor table, bool half_split);
Tensor swiglu(Tensor gate, Tensor up);  // silu(gate) * up
// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the tanh form of GELU ("gelu_new", "gelu_pytorch_tanh").
Tensor gelu(Tensor x);

// --- feature maps (spec: LoLCATs section 1.2) -----------------------------------------------------------------------
// z[b,t,h,:] = W[h] x[b,t, h / (H / HX),:] (+ bias[h]): x [B, T, HX, D], weight [H, F, D], bias [H] -> [B, T, H, F].
Tensor head_linear(Tensor x, Tensor weight, Tensor bias = {});
// The activation of a feature map: z [..., F] -> [..., 2F] (full kinds) or [..., F].
Tensor feature_activation(Tensor z, FeatureKind kind, float epsilon);
int64_t feature_count(FeatureKind kind, int64_t columns);  // 2F or F

// --- attention ------------------------------------------------------------------------------------------------------
// Keys as they leave the window: row t is the key of `age` tokens before token t; zero where there is none.
// Stateless: k [B, T, HK, D] alone, row t is k[t - age]. Stateful: older keys come from the state's ring.
Tensor aged_keys(Tensor k, int age, Tensor position = {}, Tensor state = {}, const HybridAttentionParams& layout = {},
                 int64_t heads = 0, int64_t features = 0);
struct HybridAttention {
  Tensor y;      // [B, T, H, D]
  Tensor stats;  // [B, T, H, 2]: the window's maximum c and the denominator
  Tensor state;  // the updated state (its own memory) where stateful
};
// The hybrid of linear attention and a softmax window under one denominator (LoLCATs section 1.3):
//   y_n = (sum_W g exp(s_nj - c_n) v_j + sum_L l (fq_n . fk_j) v_j) / (sum_W g exp(s_nj - c_n) + sum_L l (fq_n . fk_j))
// with s = scale q.k (soft-capped where params ask for it), c_n = max_W s_nj, g = sigmoid(window_logit), l = 1 or 1 - g. Which keys are in W and L:
// attention/state.h. q [B,T,H,D] k, v [B,T,HK,D] fq [B,T,H,F]; fk [B,T,HM,F] (HM = H or HK) features of the aged keys:
// fk[b,t] belongs to the key aged_keys(k, age)[b,t] with age = window, or 0 with no window. window_logit [H]. position
// [B] I32: tokens already in each sequence. state: LinearStateLayout::floats() float32 a sequence.
HybridAttention hybrid_attention(Tensor q, Tensor k, Tensor v, Tensor fq, Tensor fk, Tensor window_logit,
                                 const HybridAttentionParams& params, Tensor position = {}, Tensor state = {});
struct SoftmaxAttention {
  Tensor y;      // [B, T, H, D]
  Tensor stats;  // [B, T, H, 2]: maximum and denominator
  Tensor state;
};
// Causal softmax attention. Stateful: state is the KV cache of a sequence, [2, capacity, HK, D]: keys, then values. With
// a window, position j is at j mod capacity: a capacity of window + T - 1 does for calls of T tokens.
SoftmaxAttention softmax_attention(Tensor q, Tensor k, Tensor v, const SoftmaxAttentionParams& params,
                                   Tensor position = {}, Tensor state = {});
// 1 where key j belongs to query n's window (or its linear terms), else 0: [T, T].
Tensor window_mask(Graph& graph, const WindowMaskParams& params);

// --- training -------------------------------------------------------------------------------------------------------
// -log softmax(logits [N, V])[target] for targets [N] I32; 0 where a target is negative: [N].
Tensor cross_entropy(Tensor logits, Tensor targets);
Tensor mean_squared_error(Tensor a, Tensor b);  // [1]; gradient for a only (b is the teacher)
// accumulator += factor * x, in place. Returns the accumulator.
Tensor accumulate(Tensor accumulator, Tensor x, float factor);
// One AdamW update in place; hyper [2] = learning rate, step (1 for the first). m and v start as zeros.
Tensor adamw(Tensor parameter, Tensor gradient, Tensor m, Tensor v, Tensor hyper, const AdamWParams& params);

}  // namespace margay
