// The small POD parameters of every op that has some. C headers only: kernels see this file.
#pragma once
#include <stdint.h>

namespace margay {

enum class UnaryKind : int32_t { kExp, kLog, kSqrt, kReciprocal, kSigmoid, kRelu };
enum class BinaryKind : int32_t { kAdd, kSubtract, kMultiply, kDivide, kMaximum };
enum class ReduceKind : int32_t { kSum, kMax };

struct UnaryParams {
  UnaryKind kind;
};

struct BinaryParams {
  BinaryKind kind;
};

struct ReduceParams {
  ReduceKind kind;
  int32_t axis;  // stays, with length 1
};

struct AffineParams {
  float factor, offset;  // y = x * factor + offset
};

struct MatMulParams {
  int32_t transpose_a, transpose_b;
};

struct PermuteParams {
  int32_t order[4];  // output axis i is input axis order[i]
};

struct SliceParams {
  int32_t axis;
  int64_t begin, size;
};

struct ConcatParams {
  int32_t axis;
};

struct LinearParams {
  int32_t float_products;  // 1: quantized weights are dequantized and multiplied in float32; 0: int8 kernels
};

struct RmsNormParams {
  float epsilon;
};

struct LayerNormParams {
  float epsilon;
};

struct RopeTableParams {
  int32_t dimensions;  // rotated dimensions of a head, even
  float magnitude;     // of every cosine and sine
  double base;         // theta
};

struct RopeParams {
  int32_t
      half_split;   // 1: pairs are i and i + D/2 (Hugging Face, GGUF "neox"); 0: pairs are 2i and 2i + 1 (GGUF llama)
  int32_t inverse;  // 1: rotate back (the gradient)
};

// The activation of a feature map. "full" maps give 2F features of F columns.
enum class FeatureKind : int32_t {
  kSoftmaxFull,  // Hedgehog: softmax(z) ++ softmax(-z)
  kSoftmaxHalf,  // softmax(z)
  kExpFull,      // exp(z - max z) ++ exp(-z + min z)
  kExpHalf,      // exp(z - max z)
  kRelu,         // T2R: relu(z)
  kElu1,         // 1 + elu(z)
};

struct FeatureParams {
  FeatureKind kind;
  float epsilon;  // every feature is at least this; 1e-12 in the paper's code
};

enum class WindowKind : int32_t { kNone, kSliding, kTerraced };

struct HybridAttentionParams {
  WindowKind kind;
  int32_t window;       // w: keys of a sliding window; block length of a terrace. With kNone: block length of the sums
  int32_t phase;        // positions are counted from here in the grid of blocks; 0, but for parity with the end-aligned
                        // terraces of the reference (0 < phase < w)
  int32_t affine;       // 1: the linear terms are multiplied by 1 - window factor
  int32_t window_only;  // 1: drop the linear terms (an evaluation: what does the linear branch add?)
  int32_t stateful;     // 1: inputs position and state follow
  float scale;          // of the window's scores, 1 / sqrt(D)
  float soft_cap = 0;   // c > 0: scores s become c tanh(s / c)
};

struct AgedKeysParams {
  int32_t age;       // rows are the keys of `age` tokens ago
  int32_t stateful;  // 1: inputs position and state follow
  int32_t window;    // layout of the state, as in HybridAttentionParams
  int32_t heads, features;
};

struct WindowMaskParams {
  WindowKind kind;
  int32_t window, phase;
  int32_t linear;  // 1: the mask of the linear terms, 0: the window's
  int32_t tokens;
};

struct SoftmaxAttentionParams {
  float scale;
  int32_t stateful;    // 1: inputs position and state (KV cache) follow
  int32_t window;      // sliding window of the architecture, 0: none
  float soft_cap = 0;  // c > 0: scores s become c tanh(s / c)
};

struct AdamWParams {
  float beta1, beta2, epsilon, weight_decay;
};

struct AccumulateParams {
  float factor;
};

// Which gradients a *_grad op computes; the outputs of the others have no elements.
struct GradientParams {
  uint32_t wanted;  // bit i: of the forward op's input i
};

struct HybridAttentionGradParams {
  HybridAttentionParams forward;
  uint32_t wanted;
};

struct FeatureGradParams {
  FeatureParams forward;
};

}  // namespace margay
