#include "ops/graph.h"

#include <cstring>

namespace margay {

const OpInfo& op_info(OpId op) {
  static const OpInfo* const kTable[] = {
#define OP(id, name) &name##_info,
#include "ops/ops.def"
#undef OP
  };
  return *kTable[static_cast<size_t>(op)];
}

Shape make_shape(std::initializer_list<int64_t> dims) {
  require(dims.size() <= kMaxRank, "a shape of {} dimensions, at most {} are supported", dims.size(), kMaxRank);
  Shape shape;
  for (const int64_t dim : dims) shape.dim[shape.rank++] = dim;
  return shape;
}

bool operator==(const Shape& a, const Shape& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (a.dim[i] != b.dim[i]) return false;
  return true;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank; ++i) text += fmt::format("{}{}", i ? ", " : "", shape.dim[i]);
  return text + "]";
}

int64_t shape_bytes(const Shape& shape, DType dtype) {
  if (shape.rank == 0) return row_bytes(dtype, 1);
  return row_count(shape) * row_bytes(dtype, row_length(shape));
}

Tensor Graph::add_value(Value value) {
  values_.push_back(std::move(value));
  return {this, static_cast<int32_t>(values_.size() - 1)};
}

Tensor Graph::weight(std::string name, Shape shape, DType dtype, const void* data) {
  Value value;
  value.shape = shape;
  value.dtype = dtype;
  value.kind = Kind::kWeight;
  value.data = const_cast<void*>(data);  // only accumulate and adamw write, and only to the trainer's own memory
  value.name = std::move(name);
  return add_value(std::move(value));
}

Tensor Graph::input(std::string name, Shape shape, DType dtype) {
  Value value;
  value.shape = shape;
  value.dtype = dtype;
  value.kind = Kind::kInput;
  value.name = std::move(name);
  return add_value(std::move(value));
}

Tensor Graph::state(std::string name, Shape shape, DType dtype, int sequences) {
  Value value;
  value.shape = shape;
  value.dtype = dtype;
  value.kind = Kind::kState;
  value.name = fmt::format("{} x{}", name, sequences);
  return add_value(std::move(value));
}

Tensor Graph::constant(Shape shape, std::span<const float> values) {
  const size_t count = static_cast<size_t>(elements(shape));
  require(count == values.size(), "constant of shape {} from {} values", to_string(shape), values.size());
  constants_.push_back(std::make_unique<float[]>(count));
  if (count) std::memcpy(constants_.back().get(), values.data(), count * sizeof(float));
  return weight("constant", shape, DType::F32, constants_.back().get());
}

std::vector<Tensor> Graph::append(OpId op, std::span<const Tensor> inputs, const void* params, size_t param_bytes) {
  Node node;
  node.op = op;
  for (const Tensor& input : inputs) {
    require(input.graph == this && input.id >= 0, "{}: an input belongs to another graph", op_info(op).name);
    node.inputs.push_back(input.id);
  }
  require(param_bytes <= sizeof node.params, "{}: {} bytes of parameters", op_info(op).name, param_bytes);
  std::memcpy(node.params, params, param_bytes);
  ShapeRule rule{*this, node, op_info(op).name};
  op_info(op).shape(rule);
  const int32_t index = static_cast<int32_t>(nodes_.size());
  std::vector<Tensor> outputs;
  for (const int32_t output : node.outputs) {
    values_[static_cast<size_t>(output)].producer = index;
    outputs.push_back({this, output});
  }
  nodes_.push_back(std::move(node));
  return outputs;
}

int32_t Graph::memory_of(int32_t id) const {
  while (value(id).alias >= 0) id = value(id).alias;
  return id;
}

void ShapeRule::check(bool condition, const char* expectation) const {
  if (condition) return;
  std::string shapes;
  for (int i = 0; i < inputs(); ++i)
    shapes += fmt::format("{}{} {}", i ? ", " : "", type_name(in(i).dtype), to_string(shape(i)));
  fail("{}: inputs {} do not fit: {}", name, shapes, expectation);
}

void ShapeRule::out(Shape shape, DType dtype) {
  Value value;
  value.shape = shape;
  value.dtype = dtype;
  node.outputs.push_back(graph.add_value(std::move(value)).id);
}

void ShapeRule::out_reshaped(int input, Shape shape) {
  check(elements(shape) == elements(this->shape(input)), "the new shape must have as many elements");
  Value value;
  value.shape = shape;
  value.dtype = in(input).dtype;
  value.kind = in(input).kind;
  value.alias = node.inputs[static_cast<size_t>(input)];
  node.outputs.push_back(graph.add_value(std::move(value)).id);
}

void ShapeRule::out_alias(int input) { out_reshaped(input, shape(input)); }

}  // namespace margay
