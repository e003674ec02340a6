// Planning: which nodes run, where each value lives, and which steps need a barrier before them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ops/graph.h"

namespace margay {

struct PlannedStep {
  int32_t node;
  bool serial;   // too small to share: thread 0 does it
  bool barrier;  // before it
};

struct Plan {
  std::vector<PlannedStep> steps;  // in order of recording
  std::vector<int64_t> offset;     // of each value in the arena, 64-byte aligned; -1: not in the arena
  int64_t arena_bytes = 0;         // of values; the scratch follows
  int64_t scratch_stride = 0;      // bytes for each thread
};

Plan make_plan(const Graph& graph, std::span<const Tensor> outputs, int threads);

}  // namespace margay
