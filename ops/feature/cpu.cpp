// The activations of feature maps and their gradients, a row at a time (LoLCATs section 1.2).
#include "ops/kernel.h"
#include "ops/params.h"
#include "ops/simd/vec.h"

namespace margay::cpu::MARGAY_ISA {
namespace {

using simd::F32;
using simd::kWidth;

F32 load_n(const float* p, int n, float fill) { return n == kWidth ? simd::load(p) : simd::load_part(p, n, fill); }
void store_n(float* p, F32 v, int n) {
  if (n == kWidth) simd::store(p, v);
  else simd::store_part(p, v, n);
}

// body(column, lanes) for each vector of a row.
template <class Body>
MARGAY_INLINE void for_vectors(int64_t length, const Body& body) {
  int64_t c = 0;
  for (; c + kWidth <= length; c += kWidth) body(c, kWidth);
  if (c < length) body(c, static_cast<int>(length - c));
}

bool has_negative_half(FeatureKind kind) { return kind == FeatureKind::kSoftmaxFull || kind == FeatureKind::kExpFull; }

// to = max(exp(sign (z - extreme)) [/ their sum], epsilon), where the extreme makes the largest one exp(0).
void exponential_features(const float* z, int64_t f, float sign, bool normalised, float epsilon, float* to) {
  F32 best = simd::splat(-3e38f);
  for_vectors(f, [&](int64_t c, int n) { best = simd::max(best, load_n(z + c, n, sign * -3e38f) * sign); });
  const float extreme = simd::max_lane(best);
  F32 sum = simd::zero();
  for_vectors(f, [&](int64_t c, int n) {
    const F32 e = simd::exp(load_n(z + c, n, sign * -3e38f) * sign - extreme);
    store_n(to + c, normalised ? e : simd::max(e, simd::splat(epsilon)), n);
    sum += e;  // the filled lanes are exp(-3e38) = 0
  });
  if (!normalised) return;
  const float inverse = 1 / simd::sum(sum);
  for_vectors(f, [&](int64_t c, int n) {
    store_n(to + c, simd::max(load_n(to + c, n, 0) * inverse, simd::splat(epsilon)), n);
  });
}

// Gradient with respect to z of one half of exponential features, from the features y: softmax y (d - y.d); without the
// sum, y d, less all of y.d at the extreme (y = 1, the first one). Clamped features have no gradient; a clamped softmax
// counts as 0 in it, which is right to within epsilon.
void exponential_gradient(const float* y, const float* dy, int64_t f, float sign, bool normalised, float epsilon,
                          bool add, float* dz) {
  F32 sum = simd::zero();
  for_vectors(f, [&](int64_t c, int n) {
    const F32 feature = load_n(y + c, n, 0);
    const F32 product = feature * load_n(dy + c, n, 0);
    sum += feature > simd::splat(epsilon) ? product : simd::zero();
  });
  const float total = simd::sum(sum);
  for_vectors(f, [&](int64_t c, int n) {
    const F32 feature = load_n(y + c, n, 0);
    const F32 d = load_n(dy + c, n, 0);
    F32 g = feature > simd::splat(epsilon) ? feature * (normalised ? d - total : d) * sign : simd::zero();
    if (add) g += load_n(dz + c, n, 0);
    store_n(dz + c, g, n);
  });
  if (normalised) return;
  for (int64_t c = 0; c < f; ++c)
    if (y[c] == 1) {
      dz[c] -= sign * total;
      return;
    }
}

}  // namespace

void feature_activation_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const FeatureParams& p = params<FeatureParams>(args);
  const int64_t f = row_length(args.in[0].shape), width = row_length(args.out[0].shape);
  const float epsilon = p.epsilon;
  const Range range = share(row_count(args.in[0].shape), 1, thread, threads);
  for (int64_t row = range.begin; row < range.end; ++row) {
    const float* z = data<float>(args.in[0]) + row * f;
    float* y = data<float>(args.out[0]) + row * width;
    switch (p.kind) {
      case FeatureKind::kSoftmaxFull:
      case FeatureKind::kSoftmaxHalf:
      case FeatureKind::kExpFull:
      case FeatureKind::kExpHalf: {
        const bool normalised = p.kind == FeatureKind::kSoftmaxFull || p.kind == FeatureKind::kSoftmaxHalf;
        exponential_features(z, f, 1, normalised, epsilon, y);
        if (has_negative_half(p.kind)) exponential_features(z, f, -1, normalised, epsilon, y + f);
        break;
      }
      case FeatureKind::kRelu:
        for_vectors(f,
                    [&](int64_t c, int n) { store_n(y + c, simd::max(load_n(z + c, n, 0), simd::splat(epsilon)), n); });
        break;
      case FeatureKind::kElu1:
        for_vectors(f, [&](int64_t c, int n) {
          const F32 x = load_n(z + c, n, 0);
          const F32 value = x > simd::zero() ? x + 1 : simd::exp(simd::min(x, simd::zero()));
          store_n(y + c, simd::max(value, simd::splat(epsilon)), n);
        });
        break;
    }
  }
}

// Inputs y = the features, dy.
void feature_activation_grad_kernel(const KernelArgs& args, int thread, int threads) noexcept {
  const FeatureParams& p = params<FeatureGradParams>(args).forward;
  const int64_t f = row_length(args.out[0].shape), width = row_length(args.in[0].shape);
  const float epsilon = p.epsilon;
  const Range range = share(row_count(args.in[0].shape), 1, thread, threads);
  for (int64_t row = range.begin; row < range.end; ++row) {
    const float *y = data<float>(args.in[0]) + row * width, *dy = data<float>(args.in[1]) + row * width;
    float* dz = data<float>(args.out[0]) + row * f;
    switch (p.kind) {
      case FeatureKind::kSoftmaxFull:
      case FeatureKind::kSoftmaxHalf:
      case FeatureKind::kExpFull:
      case FeatureKind::kExpHalf: {
        const bool normalised = p.kind == FeatureKind::kSoftmaxFull || p.kind == FeatureKind::kSoftmaxHalf;
        exponential_gradient(y, dy, f, 1, normalised, epsilon, false, dz);
        if (has_negative_half(p.kind)) exponential_gradient(y + f, dy + f, f, -1, normalised, epsilon, true, dz);
        break;
      }
      case FeatureKind::kRelu:
      case FeatureKind::kElu1:
        for_vectors(f, [&](int64_t c, int n) {
          const F32 feature = load_n(y + c, n, 0), d = load_n(dy + c, n, 0);
          // elu: the slope is 1 above zero, where y > 1, and y below.
          const F32 slope = p.kind == FeatureKind::kRelu ? simd::splat(1) : simd::min(feature, simd::splat(1));
          store_n(dz + c, feature > simd::splat(epsilon) ? d * slope : simd::zero(), n);
        });
        break;
    }
  }
}

}  // namespace margay::cpu::MARGAY_ISA
