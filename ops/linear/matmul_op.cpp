// matmul: batched float32 product, each side as it is or transposed.
#include <algorithm>

#include "ops/linear/tiles.h"
#include "ops/ops.h"

namespace margay {
namespace {

struct Sides {
  int64_t m, n, k, k_of_b;
};

Sides sides(const Shape& a, const Shape& b, const MatMulParams& p) {
  const int64_t ar = a.dim[a.rank - 2], ac = a.dim[a.rank - 1], br = b.dim[b.rank - 2], bc = b.dim[b.rank - 1];
  return {p.transpose_a ? ac : ar, p.transpose_b ? br : bc, p.transpose_a ? ar : ac, p.transpose_b ? bc : br};
}

void shape(ShapeRule& rule) {
  rule.check(rule.inputs() == 2 && rule.in(0).dtype == DType::F32 && rule.in(1).dtype == DType::F32 &&
                 rule.shape(0).rank >= 2 && rule.shape(1).rank >= 2,
             "expected two F32 tensors of 2 axes or more");
  const Shape &a = rule.shape(0), &b = rule.shape(1);
  const Sides s = sides(a, b, rule.param<MatMulParams>());
  rule.check(s.k == s.k_of_b, "the axis that is summed over must have the same length in both");
  Shape out;
  out.rank = std::max(a.rank, b.rank);
  for (int i = 3; i <= out.rank; ++i) {
    const int64_t from_a = i <= a.rank ? a.dim[a.rank - i] : 1, from_b = i <= b.rank ? b.dim[b.rank - i] : 1;
    rule.check(from_a == from_b || from_a == 1 || from_b == 1, "batch axes must be equal or 1");
    out.dim[out.rank - i] = from_a == 1 ? from_b : from_a;
  }
  out.dim[out.rank - 2] = s.m;
  out.dim[out.rank - 1] = s.n;
  rule.out(out);
}

// First element of the matrix that batch `batch` of the output reads.
size_t matrix_of(const Shape& in, const Shape& out, int64_t batch) {
  int64_t offset = 0, stride = in.dim[in.rank - 2] * in.dim[in.rank - 1];
  for (int i = 3; i <= out.rank; ++i) {
    const int64_t index = batch % out.dim[out.rank - i];
    batch /= out.dim[out.rank - i];
    if (i > in.rank) break;
    if (in.dim[in.rank - i] > 1) offset += index * stride;
    stride *= in.dim[in.rank - i];
  }
  return static_cast<size_t>(offset);
}

void reference(const Reference& r) {
  const ReferenceValue &a = *r.in[0], &b = *r.in[1];
  const auto& p = r.node.param<MatMulParams>();
  const Sides s = sides(a.shape, b.shape, p);
  const size_t m = static_cast<size_t>(s.m), n = static_cast<size_t>(s.n), k = static_cast<size_t>(s.k);
  for (size_t batch = 0; batch * m * n < r.out[0]->data.size(); ++batch) {
    const double* x = a.data.data() + matrix_of(a.shape, r.out[0]->shape, static_cast<int64_t>(batch));
    const double* y = b.data.data() + matrix_of(b.shape, r.out[0]->shape, static_cast<int64_t>(batch));
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < n; ++j) {
        double sum = 0;
        for (size_t l = 0; l < k; ++l)
          sum += x[p.transpose_a ? l * m + i : i * k + l] * y[p.transpose_b ? j * k + l : l * n + j];
        r.out[0]->data[(batch * m + i) * n + j] = sum;
      }
  }
}

// The gradient of an input that was broadcast is the sum over its copies.
Tensor to_shape_of(Tensor gradient, Tensor input) {
  return gradient.shape() == input.shape() ? gradient : sum_to(gradient, input.shape());
}

void vjp(Vjp& vjp) {
  const auto& p = vjp.node.param<MatMulParams>();
  const bool ta = p.transpose_a, tb = p.transpose_b;
  const Tensor a = vjp.in(0), b = vjp.in(1), dy = vjp.dy();
  if (vjp.wants(0)) vjp.set(0, to_shape_of(ta ? matmul(b, dy, tb, true) : matmul(dy, b, false, !tb), a));
  if (vjp.wants(1)) vjp.set(1, to_shape_of(tb ? matmul(dy, a, true, ta) : matmul(a, dy, !ta, false), b));
}

double cost(const Graph& graph, const Node& node) {
  const Shape &a = graph.value(node.inputs[0]).shape, &b = graph.value(node.inputs[1]).shape;
  const double products = static_cast<double>(elements(graph.value(node.outputs[0]).shape)) *
                          static_cast<double>(sides(a, b, node.param<MatMulParams>()).k);
  return 50.0 + products / 60 + 0.1 * static_cast<double>(elements(a) + elements(b));
}

size_t scratch(const Graph&, const Node&) { return gemm_scratch(); }

}  // namespace

extern const OpInfo matmul_info;
const OpInfo matmul_info = {
    .name = "matmul", .shape = shape, .vjp = vjp, .reference = reference, .cost = cost, .scratch = scratch};

Tensor matmul(Tensor a, Tensor b, bool transpose_a, bool transpose_b) {
  return a.graph->append(OpId::MatMul, {a, b}, MatMulParams{transpose_a, transpose_b})[0];
}

}  // namespace margay
