#include "ops/ops.h"

namespace margay {
namespace {

void shape(ShapeRule& rule) {
  rule.check(
      rule.inputs() == 2 && rule.shape(0).rank == 2 && rule.in(1).dtype == DType::I32 && rule.shape(1).rank < kMaxRank,
      "expected a table [V, C] and I32 ids [...] of at most 3 axes");
  const DType type = rule.in(0).dtype;
  if (type != DType::F32 && type != DType::F16 && type != DType::BF16 &&
      (!type_info(type).quantized || type == DType::Q8_ACT))
    fail("embedding: tables are floats or quantized, not {}", type_name(type));
  Shape out = rule.shape(1);
  out.dim[out.rank++] = rule.shape(0).dim[1];
  rule.out(out);
}

void reference(const Reference& r) {
  const size_t columns = static_cast<size_t>(row_length(r.in[0]->shape));
  for (size_t t = 0; t < r.in[1]->data.size(); ++t)
    for (size_t c = 0; c < columns; ++c)
      r.out[0]->data[t * columns + c] = r.in[0]->data[static_cast<size_t>(r.in[1]->data[t]) * columns + c];
}

double cost(const Graph& graph, const Node& node) {
  return 20.0 + 0.1 * static_cast<double>(elements(graph.value(node.outputs[0]).shape));
}

}  // namespace

extern const OpInfo embedding_info;
const OpInfo embedding_info = {.name = "embedding", .shape = shape, .reference = reference, .cost = cost};

Tensor embedding(Tensor table, Tensor ids) { return table.graph->append(OpId::Embedding, {table, ids})[0]; }

}  // namespace margay
