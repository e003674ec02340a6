// Feature maps: a linear map for each head and an activation.
#include "ops/feature/tiles.h"
#include "ops/ops.h"

namespace margay {
namespace {

// --- head_linear ----------------------------------------------------------------------------------------------------
void check_heads(ShapeRule& rule, const Shape& x, const Shape& w) {
  rule.check(x.rank == 4 && w.rank == 3 && x.dim[3] == w.dim[2] && x.dim[2] > 0 && w.dim[0] % x.dim[2] == 0,
             "expected x [B, T, HX, D] and weight [H, F, D], HX dividing H");
}

void linear_shape(ShapeRule& rule) {
  const Shape &x = rule.shape(0), &w = rule.shape(1);
  check_heads(rule, x, w);
  for (int i = 0; i < rule.inputs(); ++i) rule.check(rule.in(i).dtype == DType::F32, "elements must be float32");
  rule.out(make_shape({x.dim[0], x.dim[1], w.dim[0], w.dim[1]}));
}

// Inputs dz, weight; the shape of dx is a parameter.
void grad_x_shape(ShapeRule& rule) { rule.out(rule.param<Shape>()); }

// Inputs x, dz.
void grad_w_shape(ShapeRule& rule) {
  const Shape &x = rule.shape(0), &dz = rule.shape(1);
  rule.out(make_shape({dz.dim[2], dz.dim[3], x.dim[3]}));
}

Tensor append_linear(Tensor x, Tensor weight) { return x.graph->append(OpId::HeadLinear, {x, weight})[0]; }

void linear_vjp(Vjp& vjp) {
  const Tensor x = vjp.in(0), w = vjp.in(1), dz = vjp.dy();
  if (vjp.wants(0)) vjp.set(0, vjp.graph.append(OpId::HeadLinearGradX, {dz, w}, x.shape())[0]);
  if (vjp.wants(1)) vjp.set(1, vjp.graph.append(OpId::HeadLinearGradW, {x, dz})[0]);
}

// Heads in front, so that a weight is the right factor of one product: [H / G, G, N, F] with x's heads broadcast to G.
std::vector<Tensor> linear_compose(Compose& c) {
  const Tensor x = c.inputs[0], w = c.inputs[1];
  const int64_t rows = x.dim(0) * x.dim(1), x_heads = x.dim(2), group = w.dim(0) / x_heads;
  const Tensor heads = reshape(permute(x, {2, 0, 1, 3}), make_shape({x_heads, 1, rows, x.dim(3)}));
  const Tensor z = matmul(heads, reshape(w, make_shape({x_heads, group, w.dim(1), w.dim(2)})), false, true);
  return {permute(reshape(z, make_shape({w.dim(0), x.dim(0), x.dim(1), w.dim(1)})), {1, 2, 0, 3})};
}

double linear_cost(const Graph& graph, const Node& node) {
  const Shape &a = graph.value(node.inputs[0]).shape, &b = graph.value(node.inputs[1]).shape;
  const Shape& out = graph.value(node.outputs[0]).shape;
  const double multiply_adds = node.op == OpId::HeadLinear        ? static_cast<double>(elements(out) * a.dim[3])
                               : node.op == OpId::HeadLinearGradX ? static_cast<double>(elements(a) * b.dim[2])
                                                                  : static_cast<double>(elements(b) * a.dim[3]);
  return 30 + multiply_adds / 50;
}

size_t linear_scratch(const Graph& graph, const Node& node) {
  const Shape &a = graph.value(node.inputs[0]).shape, &b = graph.value(node.inputs[1]).shape;
  // The last axes are D and F in some order: of x and z, of dz and weight, of x and dz.
  const int64_t other = node.op == OpId::HeadLinear ? b.dim[1] : node.op == OpId::HeadLinearGradX ? b.dim[2] : b.dim[3];
  return sizeof(float) * static_cast<size_t>(head_linear_floats(a.dim[3], other));
}

// --- feature_activation ---------------------------------------------------------------------------------------------
bool is_full(FeatureKind kind) { return kind == FeatureKind::kSoftmaxFull || kind == FeatureKind::kExpFull; }

void activation_shape(ShapeRule& rule) {
  Shape out = rule.shape(0);
  rule.check(out.rank > 0 && row_length(out) > 0 && rule.in(0).dtype == DType::F32, "expected z [..., F] float32");
  out.dim[out.rank - 1] = feature_count(rule.param<FeatureParams>().kind, row_length(out));
  rule.out(out);
}

void activation_grad_shape(ShapeRule& rule) {
  Shape out = rule.shape(0);
  if (is_full(rule.param<FeatureGradParams>().forward.kind)) out.dim[out.rank - 1] /= 2;
  rule.out(out);
}

void activation_vjp(Vjp& vjp) {
  const FeatureGradParams params{vjp.node.param<FeatureParams>()};
  vjp.set(0, vjp.graph.append(OpId::FeatureActivationGrad, {vjp.out(0), vjp.dy()}, params)[0]);
}

// exp(z - max z), over its sum where normalised.
Tensor exponentials(Tensor z, bool normalised) {
  const Tensor e = unary(subtract(z, reduce(z, ReduceKind::kMax, -1)), UnaryKind::kExp);
  return normalised ? divide(e, reduce(e, ReduceKind::kSum, -1)) : e;
}

std::vector<Tensor> activation_compose(Compose& c) {
  const FeatureParams& p = c.node.param<FeatureParams>();
  const Tensor z = c.inputs[0];
  const bool normalised = p.kind == FeatureKind::kSoftmaxFull || p.kind == FeatureKind::kSoftmaxHalf;
  Tensor y;
  switch (p.kind) {
    case FeatureKind::kSoftmaxFull:
    case FeatureKind::kExpFull:
      y = concat(exponentials(z, normalised), exponentials(affine(z, -1, 0), normalised), z.shape().rank - 1);
      break;
    case FeatureKind::kSoftmaxHalf:
    case FeatureKind::kExpHalf:
      y = exponentials(z, normalised);
      break;
    case FeatureKind::kRelu:
      y = unary(z, UnaryKind::kRelu);
      break;
    case FeatureKind::kElu1:  // relu(z) + exp(min(z, 0)), with min(z, 0) = -relu(-z)
      y = add(unary(z, UnaryKind::kRelu),
              unary(affine(unary(affine(z, -1, 0), UnaryKind::kRelu), -1, 0), UnaryKind::kExp));
      break;
  }
  return {binary(y, c.graph.constant(make_shape({1}), {&p.epsilon, 1}), BinaryKind::kMaximum)};
}

double activation_cost(const Graph& graph, const Node& node) {
  return 20 + 0.7 * static_cast<double>(elements(graph.value(node.outputs[0]).shape));
}

}  // namespace

extern const OpInfo head_linear_info, head_linear_grad_x_info, head_linear_grad_w_info;
const OpInfo head_linear_info = {.name = "head_linear",
                                 .shape = linear_shape,
                                 .vjp = linear_vjp,
                                 .compose = linear_compose,
                                 .cost = linear_cost,
                                 .scratch = linear_scratch};
const OpInfo head_linear_grad_x_info = {.name = "head_linear_grad_x",
                                        .shape = grad_x_shape,
                                        .cost = linear_cost,
                                        .scratch = linear_scratch,
                                        .gradient_of = "head_linear"};
const OpInfo head_linear_grad_w_info = {.name = "head_linear_grad_w",
                                        .shape = grad_w_shape,
                                        .cost = linear_cost,
                                        .scratch = linear_scratch,
                                        .gradient_of = "head_linear"};

extern const OpInfo feature_activation_info, feature_activation_grad_info;
const OpInfo feature_activation_info = {.name = "feature_activation",
                                        .shape = activation_shape,
                                        .vjp = activation_vjp,
                                        .compose = activation_compose,
                                        .cost = activation_cost};
const OpInfo feature_activation_grad_info = {.name = "feature_activation_grad",
                                             .shape = activation_grad_shape,
                                             .cost = activation_cost,
                                             .gradient_of = "feature_activation"};

Tensor head_linear(Tensor x, Tensor weight, Tensor bias) {
  const Tensor z = append_linear(x, weight);
  return bias ? add(z, reshape(bias, make_shape({weight.dim(0), 1}))) : z;
}

Tensor feature_activation(Tensor z, FeatureKind kind, float epsilon) {
  return z.graph->append(OpId::FeatureActivation, {z}, FeatureParams{kind, epsilon})[0];
}

int64_t feature_count(FeatureKind kind, int64_t columns) { return is_full(kind) ? 2 * columns : columns; }

}  // namespace margay
