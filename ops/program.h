// A program: a graph planned for one team of threads and one instruction set. A run is a flat list of steps over one
// arena: no allocation, no lookup, nothing that can fail.
#pragma once
#include <span>
#include <vector>

#include "base/memory.h"
#include "base/threads.h"
#include "ops/backend.h"
#include "ops/graph.h"

namespace margay {

// Sequences that one program can run side by side.
constexpr int64_t kMaxSequences = 256;

class Program {
 public:
  // Plans the part of the graph that `outputs` need. Graph, team and the weights' memory must outlive the program.
  Program(const Graph& graph, std::span<const Tensor> outputs, Team& team, Isa isa = chosen_isa());
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Memory of an input (write before a run), an output (read after it) or a weight.
  template <class T>
  T* data(Tensor tensor) const {
    return static_cast<T*>(address(tensor));
  }
  // Memory of `state` for sequence `b`; stays bound for the runs that follow.
  void bind(Tensor state, int64_t b, void* memory);
  void run();

  size_t arena_bytes() const { return arena_.size(); }
  size_t steps() const { return steps_.size(); }
  size_t barriers() const;  // of one run
  // Wall time of thread 0 by op over the runs that follow (bench/training_bench).
  void enable_profile() { profile_.assign(static_cast<size_t>(OpId::kCount), 0.0); }
  std::vector<std::pair<const char*, double>> profile() const;  // (op, seconds), longest first

 private:
  struct Step {
    Kernel kernel;
    KernelArgs args;
    OpId op;
    bool serial;   // tiny: thread 0 does it alone
    bool barrier;  // before it
  };
  void run_thread(int thread);
  void* address(Tensor tensor) const;

  const Graph& graph_;
  Team& team_;
  Buffer arena_;
  std::vector<int64_t> offset_;             // of each value that lives in the arena, else -1
  std::vector<std::vector<void*>> tables_;  // of each state: a pointer a sequence
  std::vector<View> views_;                 // of all steps
  std::vector<std::vector<std::byte>> params_;
  std::vector<Step> steps_;
  std::vector<double> profile_;
};

}  // namespace margay
