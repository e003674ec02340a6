// Times every case of every op that is marked `bench`, on one thread and on all.
//
//   build/margay_ops_bench --benchmark_filter='linear.*q8_0'
//
// Counters: GB/s = leaves read and outputs written, once each; GFLOP/s of matrix products; of_limit = the time that the
// machine's limits (measured at the start, see the context lines) allow, divided by the time taken. A case whose memory
// stays in a cache can pass 1.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include "ops/blas.h"
#include "ops/cases.h"
#include "ops/program.h"
#include "runtime/limits.h"

namespace margay {
namespace {

struct Work {
  double bytes = 0, float_operations = 0, int8_operations = 0;
};

// Inner length of an op's products; 0: not a matrix product.
double inner_length(const Graph& graph, const Node& node) {
  const auto in = [&](size_t i) -> const Shape& { return graph.value(node.inputs[i]).shape; };
  switch (node.op) {
    case OpId::Linear:
      return static_cast<double>(row_length(in(1)));
    case OpId::HeadLinear:
      return static_cast<double>(row_length(in(0)));
    case OpId::MatMul: {
      const bool transposed = node.param<MatMulParams>().transpose_a != 0;
      return static_cast<double>(in(0).dim[in(0).rank - (transposed ? 2 : 1)]);
    }
    default:
      return 0;
  }
}

Work work_of(const Graph& graph, const std::vector<Tensor>& outputs) {
  Work work;
  for (const Value& value : graph.values())
    if (value.kind == Kind::kWeight && value.alias < 0)
      work.bytes += static_cast<double>(shape_bytes(value.shape, value.dtype));
  for (const Node& node : graph.nodes())
    if (node.op == OpId::Embedding) {  // reads some rows of its table only
      const Value &table = graph.value(node.inputs[0]), &ids = graph.value(node.inputs[1]);
      const int64_t unread = row_count(table.shape) - elements(ids.shape);
      if (unread > 0) work.bytes -= static_cast<double>(unread * row_bytes(table.dtype, row_length(table.shape)));
    }
  for (const Tensor& output : outputs) work.bytes += static_cast<double>(shape_bytes(output.shape(), output.dtype()));
  for (const Node& node : graph.nodes()) {
    const double inner = inner_length(graph, node);
    if (inner == 0) continue;
    const double operations = 2 * inner * static_cast<double>(elements(graph.value(node.outputs[0]).shape));
    const bool int8 = node.op == OpId::Linear && type_info(graph.value(node.inputs[1]).dtype).quantized &&
                      !node.param<LinearParams>().float_products;
    (int8 ? work.int8_operations : work.float_operations) += operations;
  }
  return work;
}

void run_case(benchmark::State& state, const Case& test, int threads, const Limits& limits) {
  CaseGraph leaves(1);
  const std::vector<Tensor> outputs = test.build(leaves);
  const Work work = work_of(leaves.graph, outputs);
  Team team(threads);
  Program program(leaves.graph, outputs, team);
  program.run();
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) program.run();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  const double seconds = elapsed.count() / static_cast<double>(state.iterations());
  const double operations = work.float_operations + work.int8_operations;
  state.counters["GB/s"] = work.bytes / seconds / 1e9;
  if (operations > 0) state.counters["GFLOP/s"] = operations / seconds / 1e9;
  const double least =
      std::max(work.bytes / limits.read, work.float_operations / limits.fma + work.int8_operations / limits.int8);
  state.counters["of_limit"] = least / seconds;
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  std::vector<int> team_sizes = {1};
  if (default_threads() > 1) team_sizes.push_back(default_threads());

  benchmark::AddCustomContext("instruction set", isa_name(chosen_isa()));
  benchmark::AddCustomContext("OpenBLAS (not used by the kernels)", blas_core() ? blas_core() : "not installed");
  std::map<int, Limits> limits;
  for (const int threads : team_sizes) {
    const Limits& measured = limits[threads] = measure_limits(threads);
    benchmark::AddCustomContext(fmt::format("limits of {} threads", threads),
                                fmt::format("reads {:.1f} GB/s, float32 {:.0f} GFLOP/s, int8 {:.0f} GOP/s",
                                            measured.read / 1e9, measured.fma / 1e9, measured.int8 / 1e9));
  }
  for (const Case& test : all_cases()) {
    if (!test.bench) continue;
    for (const int threads : team_sizes)
      benchmark::RegisterBenchmark(
          fmt::format("{}/threads:{}", test.name, threads).c_str(),
          [test, threads, &limits](benchmark::State& state) { run_case(state, test, threads, limits.at(threads)); })
          ->UseRealTime();
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace margay

int main(int argc, char** argv) {
  try {
    return margay::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
