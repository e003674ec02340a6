#include "ops/planner.h"

#include <algorithm>
#include <limits>

namespace margay {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int32_t kForever = std::numeric_limits<int32_t>::max();
// A step below this many nanoseconds of work is not worth a barrier and half of its cache lines on another core.
constexpr double kSerialCost = 1500;

int64_t align(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

double cost_of(const Graph& graph, const Node& node) {
  const OpInfo& info = op_info(node.op);
  if (info.cost) return info.cost(graph, node);
  double total = 0;
  for (const int32_t output : node.outputs) total += static_cast<double>(elements(graph.value(output).shape));
  return total / 4;
}

// The nodes that the outputs need, in order.
std::vector<int32_t> needed_nodes(const Graph& graph, std::span<const Tensor> outputs) {
  std::vector<bool> needed(graph.nodes().size(), false);
  std::vector<int32_t> stack;
  const auto visit = [&](int32_t value) {
    const int32_t producer = graph.value(value).producer;
    if (producer < 0 || needed[static_cast<size_t>(producer)]) return;
    needed[static_cast<size_t>(producer)] = true;
    stack.push_back(producer);
  };
  for (const Tensor& output : outputs) visit(output.id);
  while (!stack.empty()) {
    const int32_t node = stack.back();
    stack.pop_back();
    for (const int32_t input : graph.nodes()[static_cast<size_t>(node)].inputs) visit(input);
  }
  std::vector<int32_t> order;
  for (size_t n = 0; n < needed.size(); ++n)
    if (needed[n]) order.push_back(static_cast<int32_t>(n));
  return order;
}

// A piece of the arena: all values that share it, from the first step that writes it to the last that reads it.
struct Block {
  int64_t bytes = 0, offset = -1;
  int32_t first = kForever, last = -1;
  bool pinned = false;  // inputs and outputs: nobody else's memory at any time
};

// Places blocks whose lifetimes meet at different offsets: largest first, each at the lowest gap that holds it.
int64_t place(std::vector<Block>& blocks) {
  std::vector<Block*> order;
  for (Block& block : blocks) {
    if (block.bytes > 0) order.push_back(&block);
    if (block.bytes == 0 && block.last >= 0) block.offset = 0;  // no elements: any address will do
  }
  std::stable_sort(order.begin(), order.end(), [](const Block* a, const Block* b) { return a->bytes > b->bytes; });
  int64_t total = 0;
  std::vector<const Block*> placed, meeting;
  for (Block* block : order) {
    meeting.clear();
    for (const Block* other : placed)
      if (other->first <= block->last && block->first <= other->last) meeting.push_back(other);
    std::sort(meeting.begin(), meeting.end(), [](const Block* a, const Block* b) { return a->offset < b->offset; });
    int64_t offset = 0;
    for (const Block* other : meeting) {
      if (offset + block->bytes <= other->offset) break;
      offset = std::max(offset, other->offset + align(other->bytes));
    }
    block->offset = offset;
    placed.push_back(block);
    total = std::max(total, offset + align(block->bytes));
  }
  return total;
}

// Memory that a step reads or writes: a range of the arena, of a weight, or a state.
struct Access {
  const void* space;  // nullptr: the arena and weights by address
  int64_t begin, end;
  bool write, serial;
};

bool conflict(const Access& a, const Access& b) {
  return a.space == b.space && a.begin < b.end && b.begin < a.end && (a.write || b.write) && !(a.serial && b.serial);
}

}  // namespace

Plan make_plan(const Graph& graph, std::span<const Tensor> outputs, int threads) {
  const std::vector<int32_t> order = needed_nodes(graph, outputs);
  const size_t value_count = graph.values().size();

  // Lifetimes, by the value whose memory it is.
  std::vector<int32_t> root(value_count);
  for (size_t v = 0; v < value_count; ++v) root[v] = graph.memory_of(static_cast<int32_t>(v));
  std::vector<Block> blocks(value_count);
  const auto in_arena = [&](int32_t r) {
    const Kind kind = graph.value(r).kind;
    return kind == Kind::kTemporary || kind == Kind::kInput;
  };
  const auto touch = [&](int32_t value, int32_t step) {
    const int32_t r = root[static_cast<size_t>(value)];
    if (!in_arena(r)) return;
    Block& block = blocks[static_cast<size_t>(r)];
    block.first = std::min(block.first, step);
    block.last = std::max(block.last, step);
    block.bytes = std::max(block.bytes, shape_bytes(graph.value(value).shape, graph.value(value).dtype));
    if (graph.value(r).kind == Kind::kInput) block.pinned = true;
  };
  for (size_t s = 0; s < order.size(); ++s) {
    const Node& node = graph.nodes()[static_cast<size_t>(order[s])];
    for (const int32_t input : node.inputs) touch(input, static_cast<int32_t>(s));
    for (const int32_t output : node.outputs) touch(output, static_cast<int32_t>(s));
  }
  for (const Tensor& output : outputs) {
    touch(output.id, kForever);
    if (in_arena(root[static_cast<size_t>(output.id)]))
      blocks[static_cast<size_t>(root[static_cast<size_t>(output.id)])].pinned = true;
  }
  for (Block& block : blocks)
    if (block.pinned) block.first = -1, block.last = kForever;

  // In-place: an output takes the memory of input 0 when this step is the last to read it.
  for (size_t s = 0; s < order.size(); ++s) {
    const Node& node = graph.nodes()[static_cast<size_t>(order[s])];
    if (!op_info(node.op).in_place) continue;
    const int32_t from = root[static_cast<size_t>(node.inputs[0])], to = node.outputs[0];
    if (!in_arena(from) || root[static_cast<size_t>(to)] != to) continue;
    Block &source = blocks[static_cast<size_t>(from)], &target = blocks[static_cast<size_t>(to)];
    if (source.pinned || target.pinned || source.last != static_cast<int32_t>(s) || source.bytes != target.bytes)
      continue;
    bool twice = false;  // another input in the same memory may be read after it was written
    for (size_t i = 1; i < node.inputs.size(); ++i) twice = twice || root[static_cast<size_t>(node.inputs[i])] == from;
    if (twice) continue;
    source.last = target.last;
    target = {};
    for (int32_t& r : root)
      if (r == to) r = from;
  }

  Plan plan;
  plan.arena_bytes = place(blocks);
  plan.offset.assign(value_count, -1);
  for (size_t v = 0; v < value_count; ++v)
    if (in_arena(root[v])) plan.offset[v] = blocks[static_cast<size_t>(root[v])].offset;

  std::vector<Access> since_barrier;
  for (const int32_t index : order) {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    const OpInfo& info = op_info(node.op);
    if (info.scratch)
      plan.scratch_stride = std::max(plan.scratch_stride, align(static_cast<int64_t>(info.scratch(graph, node))));
    PlannedStep step{index, threads == 1 || cost_of(graph, node) < kSerialCost, false};
    std::vector<Access> accesses;
    const auto access = [&](int32_t value, bool write) {
      const int64_t bytes = shape_bytes(graph.value(value).shape, graph.value(value).dtype);
      const Value& memory = graph.value(root[static_cast<size_t>(value)]);
      if (memory.kind == Kind::kState) {
        accesses.push_back({&memory, 0, 1, write, step.serial});
      } else if (memory.kind == Kind::kWeight) {
        const int64_t begin = static_cast<int64_t>(reinterpret_cast<intptr_t>(memory.data));
        accesses.push_back({&graph, begin, begin + bytes, write, step.serial});
      } else {
        const int64_t begin = plan.offset[static_cast<size_t>(value)];
        accesses.push_back({nullptr, begin, begin + bytes, write, step.serial});
      }
    };
    for (const int32_t input : node.inputs) access(input, false);
    for (const int32_t output : node.outputs) access(output, true);
    if (node.op == OpId::Reshape) accesses.clear();  // touches nothing
    for (const Access& now : accesses)
      for (const Access& before : since_barrier) step.barrier = step.barrier || conflict(now, before);
    if (step.barrier) since_barrier.clear();
    since_barrier.insert(since_barrier.end(), accesses.begin(), accesses.end());
    if (node.op != OpId::Reshape) plan.steps.push_back(step);
  }
  return plan;
}

}  // namespace margay
