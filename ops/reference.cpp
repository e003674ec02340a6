#include "ops/reference.h"

#include "ops/quant/convert.h"

namespace margay {

void ReferenceEvaluator::override_element(Tensor leaf, int64_t index, double value) {
  overrides_[leaf.id][index] = value;
}

ReferenceValue ReferenceEvaluator::leaf(int32_t id) const {
  const Value& value = graph_.value(id);
  require(value.kind == Kind::kWeight, "the reference evaluates weights only, not {}", value.name);
  ReferenceValue result{value.shape, std::vector<double>(static_cast<size_t>(elements(value.shape)))};
  if (value.dtype == DType::I32) {
    const int32_t* integers = static_cast<const int32_t*>(value.data);
    std::copy(integers, integers + result.data.size(), result.data.begin());
  } else {
    std::vector<float> floats(result.data.size());
    const int64_t length = row_length(value.shape), bytes = row_bytes(value.dtype, length);
    for (int64_t row = 0; row < row_count(value.shape); ++row)
      dequantize_row(value.dtype, static_cast<const char*>(value.data) + row * bytes, floats.data() + row * length,
                     length);
    std::copy(floats.begin(), floats.end(), result.data.begin());
  }
  if (const auto found = overrides_.find(id); found != overrides_.end())
    for (const auto& [index, replacement] : found->second) result.data[static_cast<size_t>(index)] = replacement;
  return result;
}

const ReferenceValue& ReferenceEvaluator::evaluate(Tensor tensor) {
  const auto found = values_.find(tensor.id);
  if (found != values_.end()) return found->second;
  const int32_t producer = graph_.value(tensor.id).producer;
  if (producer < 0) {
    values_[tensor.id] = leaf(tensor.id);
  } else {
    compute(producer);
  }
  return values_.at(tensor.id);
}

void ReferenceEvaluator::compute(int32_t index) {
  const Node& node = graph_.nodes()[static_cast<size_t>(index)];
  const OpInfo& info = op_info(node.op);
  if (info.compose) {
    auto& outputs = composed_[index];
    if (outputs.empty()) {
      Compose compose{graph_, node, {}};
      for (const int32_t input : node.inputs) compose.inputs.push_back({&graph_, input});
      outputs = info.compose(compose);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i]) continue;
      ReferenceValue value = evaluate(outputs[i]);
      require(value.shape == graph_.value(node.outputs[i]).shape, "{}: its definition has shape {}, the op {}",
              info.name, to_string(value.shape), to_string(graph_.value(node.outputs[i]).shape));
      values_[node.outputs[i]] = std::move(value);
    }
    return;
  }
  require(info.reference != nullptr, "{} has no definition in double", info.name);
  for (const int32_t input : node.inputs) evaluate({&graph_, input});
  Reference reference{node, {}, {}};
  for (const int32_t output : node.outputs) {
    const Shape shape = graph_.value(output).shape;
    values_[output] = {shape, std::vector<double>(static_cast<size_t>(elements(shape)))};
  }
  for (const int32_t input : node.inputs) reference.in.push_back(&values_.at(input));
  for (const int32_t output : node.outputs) reference.out.push_back(&values_.at(output));
  info.reference(reference);
}

}  // namespace margay
