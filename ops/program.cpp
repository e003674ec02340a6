#include "ops/program.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "ops/planner.h"

namespace margay {

Program::Program(const Graph& graph, std::span<const Tensor> outputs, Team& team, Isa isa)
    : graph_(graph), team_(team) {
  for (const Tensor& output : outputs) require(output.graph == &graph, "an output belongs to another graph");
  const Kernel* kernels = cpu_kernels(isa);
  Plan plan = make_plan(graph, outputs, team.size());
  offset_ = std::move(plan.offset);
  const size_t scratch = static_cast<size_t>(plan.arena_bytes);
  arena_ = Buffer(scratch + static_cast<size_t>(plan.scratch_stride) * static_cast<size_t>(team.size()));

  tables_.resize(graph.values().size());
  size_t view_count = 0;
  for (const PlannedStep& step : plan.steps) {
    const Node& node = graph.nodes()[static_cast<size_t>(step.node)];
    view_count += node.inputs.size() + node.outputs.size();
  }
  views_.reserve(view_count);
  params_.reserve(plan.steps.size());
  for (const PlannedStep& planned : plan.steps) {
    const Node& node = graph.nodes()[static_cast<size_t>(planned.node)];
    const size_t first = views_.size();
    const auto add_view = [&](int32_t id) {
      views_.push_back({address({const_cast<Graph*>(&graph), id}), graph.value(id).shape, graph.value(id).dtype});
    };
    for (const int32_t input : node.inputs) add_view(input);
    for (const int32_t output : node.outputs) add_view(output);
    params_.emplace_back(node.params, node.params + sizeof node.params);
    Step step{};
    step.kernel = kernels[static_cast<size_t>(node.op)];
    step.op = node.op;
    step.serial = planned.serial;
    step.barrier = planned.barrier;
    step.args.in = views_.data() + first;
    step.args.out = views_.data() + first + node.inputs.size();
    step.args.params = params_.back().data();
    step.args.scratch = reinterpret_cast<char*>(arena_.data()) + scratch;
    step.args.scratch_stride = static_cast<size_t>(plan.scratch_stride);
    steps_.push_back(step);
  }
}

void* Program::address(Tensor tensor) const {
  const Value& memory = graph_.value(graph_.memory_of(tensor.id));
  if (memory.kind == Kind::kWeight) return memory.data;
  if (memory.kind == Kind::kState) {
    std::vector<void*>& table =
        const_cast<std::vector<void*>&>(tables_[static_cast<size_t>(graph_.memory_of(tensor.id))]);
    if (table.empty()) table.resize(kMaxSequences);
    return table.data();
  }
  const int64_t offset = offset_[static_cast<size_t>(tensor.id)];
  require(offset >= 0, "the program has no memory for value {}: neither needed nor an output", tensor.id);
  return arena_.data() + offset;
}

void Program::bind(Tensor state, int64_t b, void* memory) {
  require(graph_.value(state.id).kind == Kind::kState && b >= 0 && b < kMaxSequences, "bind: sequence {} of no state",
          b);
  static_cast<void**>(address(state))[b] = memory;
}

void Program::run() {
  team_.run([this](int thread) { run_thread(thread); });
}

void Program::run_thread(int thread) {
  const int threads = team_.size();
  using Clock = std::chrono::steady_clock;
  const bool timed = thread == 0 && !profile_.empty();
  Clock::time_point start = timed ? Clock::now() : Clock::time_point{};
  for (const Step& step : steps_) {
    if (step.barrier && threads > 1) team_.barrier().wait();
    if (!step.serial) {
      step.kernel(step.args, thread, threads);
    } else if (thread == 0) {
      step.kernel(step.args, 0, 1);
    }
    if (timed) {
      const Clock::time_point now = Clock::now();
      profile_[static_cast<size_t>(step.op)] += std::chrono::duration<double>(now - start).count();
      start = now;
    }
  }
}

size_t Program::barriers() const {
  return static_cast<size_t>(std::count_if(steps_.begin(), steps_.end(), [](const Step& s) { return s.barrier; }));
}

std::vector<std::pair<const char*, double>> Program::profile() const {
  std::vector<std::pair<const char*, double>> rows;
  for (size_t op = 0; op < profile_.size(); ++op)
    if (profile_[op] > 0) rows.emplace_back(op_info(static_cast<OpId>(op)).name, profile_[op]);
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return rows;
}

}  // namespace margay
