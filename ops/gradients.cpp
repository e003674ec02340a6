// Reverse-mode differentiation: appends the gradients to the graph that recorded the loss.
#include "ops/graph.h"
#include "ops/ops.h"

namespace margay {

std::vector<Tensor> gradients(Tensor loss, std::span<const Tensor> wrt) {
  Graph& graph = *loss.graph;
  require(elements(loss.shape()) == 1, "gradients of a loss of shape {}: it must have one element",
          to_string(loss.shape()));
  const size_t forward_nodes = graph.nodes().size();

  std::vector<bool> depends(graph.values().size(), false);  // on one of wrt
  for (const Tensor& tensor : wrt) {
    require(tensor.dtype() == DType::F32, "the gradient of {}, a weight of type {}: only F32 weights can be trained",
            graph.value(tensor.id).name, type_name(tensor.dtype()));
    depends[static_cast<size_t>(tensor.id)] = true;
  }
  for (size_t n = 0; n < forward_nodes; ++n) {
    const Node& node = graph.nodes()[n];
    bool any = false;
    for (const int32_t input : node.inputs) any = any || depends[static_cast<size_t>(input)];
    if (any)
      for (const int32_t output : node.outputs) depends[static_cast<size_t>(output)] = true;
  }

  std::vector<Tensor> gradient(depends.size());
  const float one = 1;
  gradient[static_cast<size_t>(loss.id)] = graph.constant(loss.shape(), {&one, 1});
  for (size_t n = forward_nodes; n-- > 0;) {
    const Node& node = graph.nodes()[n];
    bool reached = false;
    Vjp vjp{graph, node, {}, {}, {}};
    for (const int32_t output : node.outputs) {
      vjp.output_gradients.push_back(gradient[static_cast<size_t>(output)]);
      reached = reached || vjp.output_gradients.back();
    }
    bool wanted = false;
    for (const int32_t input : node.inputs) {
      vjp.wanted.push_back(depends[static_cast<size_t>(input)]);
      wanted = wanted || vjp.wanted.back();
    }
    if (!reached || !wanted) continue;
    const OpInfo& info = op_info(node.op);
    require(info.vjp != nullptr, "{} has no gradient", info.name);
    vjp.input_gradients.resize(node.inputs.size());
    info.vjp(vjp);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Tensor& addend = vjp.input_gradients[i];
      if (!addend || !vjp.wanted[i]) continue;
      Tensor& sum = gradient[static_cast<size_t>(node.inputs[i])];
      sum = sum ? add(sum, addend) : addend;
    }
  }

  std::vector<Tensor> result;
  for (const Tensor& tensor : wrt) {
    const Tensor& g = gradient[static_cast<size_t>(tensor.id)];
    require(static_cast<bool>(g), "the loss does not depend on {}", graph.value(tensor.id).name);
    result.push_back(g);
  }
  return result;
}

}  // namespace margay
