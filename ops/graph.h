// The tensor graph: recorded once, planned once (program.h), run many times. Recording checks every shape and throws
// Error; a run never does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"
#include "ops/kernel.h"

namespace margay {

class Graph;

enum class OpId : int32_t {
#define OP(id, name) id,
#include "ops/ops.def"
#undef OP
  kCount
};

// A value in a graph; copied freely. A default one is "no tensor".
struct Tensor {
  Graph* graph = nullptr;
  int32_t id = -1;

  explicit operator bool() const { return id >= 0; }
  const Shape& shape() const;
  int64_t dim(int axis) const;  // negative axes count from the end
  DType dtype() const;
};

enum class Kind : uint8_t {
  kWeight,     // memory of the caller's, alive and in place as long as the program
  kInput,      // memory of the program's, written by the caller before a run
  kState,      // memory bound before a run: one pointer a sequence (Program::bind)
  kTemporary,  // memory of the program's arena
};

struct Value {
  Shape shape;
  DType dtype = DType::F32;
  Kind kind = Kind::kTemporary;
  int32_t alias = -1;     // shares the memory of this value (reshape, updated weights and states)
  void* data = nullptr;   // kWeight
  int32_t producer = -1;  // node
  std::string name;       // weights, inputs, states
};

struct Node {
  OpId op;
  std::vector<int32_t> inputs, outputs;
  alignas(8) std::byte params[56] = {};

  template <class T>
  const T& param() const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof params);
    return *reinterpret_cast<const T*>(params);
  }
};

struct NoParams {};

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  Tensor weight(std::string name, Shape shape, DType dtype, const void* data);
  Tensor input(std::string name, Shape shape, DType dtype);
  // One state of `shape` for each of `sequences`; updated in place by the ops that take it.
  Tensor state(std::string name, Shape shape, DType dtype, int sequences);
  // A float32 weight whose memory the graph owns.
  Tensor constant(Shape shape, std::span<const float> values);

  // Appends a node; its op's shape rule checks the inputs and declares the outputs. Ops are called through the
  // functions of ops.h, which call this.
  template <class Params = NoParams>
  std::vector<Tensor> append(OpId op, std::initializer_list<Tensor> inputs, const Params& params = {}) {
    return append(op, std::span<const Tensor>(inputs.begin(), inputs.size()), &params, sizeof params);
  }
  std::vector<Tensor> append(OpId op, std::span<const Tensor> inputs, const void* params, size_t param_bytes);

  // References to values and nodes stay valid while the graph grows.
  const std::deque<Value>& values() const { return values_; }
  const std::deque<Node>& nodes() const { return nodes_; }
  const Value& value(int32_t id) const { return values_[static_cast<size_t>(id)]; }
  // The value whose memory `id` uses, at the end of its chain of aliases.
  int32_t memory_of(int32_t id) const;

 private:
  friend struct ShapeRule;
  Tensor add_value(Value value);

  std::deque<Value> values_;
  std::deque<Node> nodes_;
  std::vector<std::unique_ptr<float[]>> constants_;
  std::vector<std::pair<int32_t, Tensor>> quantized_;  // linear() quantizes an activation once: (value, its Q8_ACT)
  friend Tensor quantize_rows(Tensor x);
};

inline const Shape& Tensor::shape() const { return graph->value(id).shape; }
inline DType Tensor::dtype() const { return graph->value(id).dtype; }
inline int64_t Tensor::dim(int axis) const { return shape().dim[axis < 0 ? shape().rank + axis : axis]; }

Shape make_shape(std::initializer_list<int64_t> dims);
bool operator==(const Shape& a, const Shape& b);
std::string to_string(const Shape& shape);  // "[3, 37]"
// Bytes of a value of this shape; for Q8_ACT and quantized types rows are counted by base/dtype.h.
int64_t shape_bytes(const Shape& shape, DType dtype);

// What an op's shape rule sees: checks, then declares outputs.
struct ShapeRule {
  Graph& graph;
  Node& node;
  const char* name;  // of the op

  int inputs() const { return static_cast<int>(node.inputs.size()); }
  const Value& in(int i) const { return graph.value(node.inputs[static_cast<size_t>(i)]); }
  const Shape& shape(int i) const { return in(i).shape; }
  template <class T>
  const T& param() const {
    return node.param<T>();
  }
  // fail() with the op's name and all input shapes unless `condition`.
  void check(bool condition, const char* expectation) const;
  void out(Shape shape, DType dtype = DType::F32);
  void out_alias(int input);                  // the input's memory and shape, updated in place
  void out_reshaped(int input, Shape shape);  // the input's memory under another shape
};

// What an op's vjp sees: the node, the gradients of its outputs (none: zero), and which inputs want one.
struct Vjp {
  Graph& graph;
  const Node& node;
  std::vector<Tensor> output_gradients;
  std::vector<bool> wanted;
  std::vector<Tensor> input_gradients;  // to fill; "no tensor" is zero

  Tensor in(int i) const { return {&graph, node.inputs[static_cast<size_t>(i)]}; }
  Tensor out(int i) const { return {&graph, node.outputs[static_cast<size_t>(i)]}; }
  Tensor dy(int i = 0) const { return output_gradients[static_cast<size_t>(i)]; }
  bool wants(int i) const { return wanted[static_cast<size_t>(i)]; }
  void set(int i, Tensor gradient) { input_gradients[static_cast<size_t>(i)] = gradient; }
};

// What an op's compose sees: it records the op's meaning in simpler ops and returns one tensor an output.
struct Compose {
  Graph& graph;
  const Node& node;
  std::vector<Tensor> inputs;
};

// A primitive op's definition, in double. Integers come as doubles too.
struct ReferenceValue {
  Shape shape;
  std::vector<double> data;
};
struct Reference {
  const Node& node;
  std::vector<const ReferenceValue*> in;
  std::vector<ReferenceValue*> out;  // sized by the shape rule, zero
};

struct OpInfo {
  const char* name;
  void (*shape)(ShapeRule& rule);
  void (*vjp)(Vjp& vjp) = nullptr;                             // absent: asking for a gradient is an error
  std::vector<Tensor> (*compose)(Compose& compose) = nullptr;  // meaning in simpler ops: oracle and fallback ...
  void (*reference)(const Reference& reference) = nullptr;     // ... or, of a primitive, in double
  double (*cost)(const Graph& graph,
                 const Node& node) = nullptr;  // about nanoseconds on one thread; absent: by elements
  size_t (*scratch)(const Graph& graph, const Node& node) = nullptr;  // bytes for each thread
  bool in_place = false;              // output 0 may take the memory of input 0 when nothing else needs it
  const char* gradient_of = nullptr;  // a *_grad op: tested through the central differences of this op
};

// Each op's folder defines its own row.
#define OP(id, name) extern const OpInfo name##_info;
#include "ops/ops.def"
#undef OP
const OpInfo& op_info(OpId op);

// Appends the gradients of `loss` (one element) with respect to `wrt` and returns them, in that order.
// Throws Error where an op on the way has no gradient, or where a quantized weight is asked for.
std::vector<Tensor> gradients(Tensor loss, std::span<const Tensor> wrt);

}  // namespace margay
