// rope_table and rope.
#include <cmath>
#include <vector>

#include "ops/ops.h"

namespace margay {
namespace {

// --- rope_table: (positions, factors) -------------------------------------------------------------------------------
void rope_table_shape(ShapeRule& rule) {
  const int32_t dimensions = rule.param<RopeTableParams>().dimensions;
  const Shape positions = rule.shape(0), &factors = rule.shape(1);
  rule.check(rule.in(0).dtype == DType::I32 && positions.rank == 1, "positions must be int32 [N]");
  rule.check(dimensions > 0 && dimensions % 2 == 0, "the number of rotated dimensions must be even and positive");
  rule.check(rule.in(1).dtype == DType::F32 && factors.rank == 1 && factors.dim[0] == dimensions / 2,
             "factors must be float32, one for each pair of rotated dimensions");
  rule.out(make_shape({positions.dim[0], dimensions}));
}

void rope_table_reference(const Reference& r) {
  const RopeTableParams& params = r.node.param<RopeTableParams>();
  const size_t half = static_cast<size_t>(params.dimensions / 2);
  for (size_t n = 0; n < r.in[0]->data.size(); ++n)
    for (size_t i = 0; i < half; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / params.dimensions;
      const double angle = r.in[0]->data[n] * std::pow(params.base, exponent) / r.in[1]->data[i];
      r.out[0]->data[n * 2 * half + i] = std::cos(angle) * static_cast<double>(params.magnitude);
      r.out[0]->data[n * 2 * half + half + i] = std::sin(angle) * static_cast<double>(params.magnitude);
    }
}

double rope_table_cost(const Graph& graph, const Node& node) {
  return static_cast<double>(elements(graph.value(node.outputs[0]).shape)) * 8;
}

// --- rope: (x, table) -----------------------------------------------------------------------------------------------
void rope_shape(ShapeRule& rule) {
  const Shape &x = rule.shape(0), &table = rule.shape(1);
  rule.check(rule.in(0).dtype == DType::F32 && x.rank == 4, "x must be float32 [B, T, H, D]");
  rule.check(rule.in(1).dtype == DType::F32 && table.rank == 2 && table.dim[0] == x.dim[0] * x.dim[1],
             "the table must have B * T rows");
  rule.check(table.dim[1] % 2 == 0 && table.dim[1] <= x.dim[3], "it must not rotate more dimensions than a head has");
  rule.out(x);
}

void rope_vjp(Vjp& vjp) {
  require(!vjp.wants(1), "rope: the table of angles has no gradient");
  RopeParams params = vjp.node.param<RopeParams>();
  params.inverse = !params.inverse;
  vjp.set(0, vjp.graph.append(OpId::Rope, {vjp.dy(), vjp.in(1)}, params)[0]);
}

void rope_reference(const Reference& r) {
  const RopeParams& params = r.node.param<RopeParams>();
  const ReferenceValue &x = *r.in[0], &table = *r.in[1];
  ReferenceValue& y = *r.out[0];
  const size_t heads = static_cast<size_t>(x.shape.dim[2]), dim = static_cast<size_t>(x.shape.dim[3]);
  const size_t rotated = static_cast<size_t>(table.shape.dim[1]), half = rotated / 2;
  y.data = x.data;
  for (size_t row = 0; row < static_cast<size_t>(row_count(x.shape)); ++row)
    for (size_t i = 0; i < half; ++i) {
      const size_t a = row * dim + (params.half_split ? i : 2 * i), b = params.half_split ? a + half : a + 1;
      const double c = table.data[row / heads * rotated + i];
      const double s = table.data[row / heads * rotated + half + i] * (params.inverse ? -1 : 1);
      y.data[a] = x.data[a] * c - x.data[b] * s;
      y.data[b] = x.data[a] * s + x.data[b] * c;
    }
}

}  // namespace

extern const OpInfo rope_table_info;
const OpInfo rope_table_info = {
    .name = "rope_table",
    .shape = rope_table_shape,
    .reference = rope_table_reference,
    .cost = rope_table_cost,
};

extern const OpInfo rope_info;
const OpInfo rope_info = {
    .name = "rope",
    .shape = rope_shape,
    .vjp = rope_vjp,
    .reference = rope_reference,
    .in_place = true,
};

Tensor rope_table(Tensor positions, int dimensions, double base, Tensor factors, float magnitude) {
  require(base > 0, "rope_table: a base (theta) of {}, it must be positive", base);
  if (!factors) {
    const std::vector<float> ones(static_cast<size_t>(dimensions > 0 ? dimensions / 2 : 0), 1.f);
    factors = positions.graph->constant(make_shape({static_cast<int64_t>(ones.size())}), ones);
  }
  return positions.graph->append(OpId::RopeTable, {positions, factors},
                                 RopeTableParams{dimensions, magnitude, base})[0];
}

Tensor rope(Tensor x, Tensor table, bool half_split) {
  return x.graph->append(OpId::Rope, {x, table}, RopeParams{half_split, 0})[0];
}

}  // namespace margay
