#include "runtime/importance.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/program.h"

namespace margay {
namespace {

// The summed squares [1, K] of one product's input, and the weights that it is multiplied with.
struct Probe {
  Tensor input, squares;
  std::vector<std::string> weights;
};

// Records the squares of what goes into every linear(). Matrices that share an input share a probe.
std::vector<Probe> add_probes(BuiltModel& built) {
  Graph& graph = built.graph;
  std::vector<Probe> probes;
  const size_t recorded = graph.nodes().size();
  for (size_t i = 0; i < recorded; ++i) {
    const Node& node = graph.nodes()[i];
    if (node.op != OpId::Linear) continue;
    const Tensor input{&graph, node.inputs[0]};
    const std::string& name = graph.value(node.inputs[1]).name;
    auto probe = std::find_if(probes.begin(), probes.end(), [&](const Probe& p) { return p.input.id == input.id; });
    if (probe == probes.end()) {
      const int64_t columns = input.dim(-1);
      const Tensor rows = reshape(input, make_shape({row_count(input.shape()), columns}));
      probe = probes.insert(probes.end(), Probe{input, reduce(multiply(rows, rows), ReduceKind::kSum, 0), {}});
    }
    probe->weights.push_back(name);
  }
  return probes;
}

}  // namespace

int64_t importance_windows(int64_t tokens, const ImportanceOptions& options) {
  const int64_t windows = tokens / options.window;
  require(windows > 0, "the text has {} tokens, too few for a window of {}; give more text or a smaller --ctx", tokens,
          options.window);
  return options.max_windows > 0 ? std::min(windows, options.max_windows) : windows;
}

ImportanceMatrix measure_importance(const Model& model, Team& team, std::span<const int32_t> tokens,
                                    const ImportanceOptions& options, const std::function<void()>& progress) {
  BuildOptions build;
  build.tokens = options.window;
  build.float_products = true;  // inputs are seen before they are rounded to 8 bits
  const auto built = build_model(model.config, model.linear, model.weights, build);
  const std::vector<Probe> probes = add_probes(*built);
  std::vector<Tensor> outputs;
  for (const Probe& probe : probes) outputs.push_back(probe.squares);
  Program program(built->graph, outputs, team);  // without the head's product: nothing needs the logits

  std::vector<std::vector<double>> sums;
  for (const Probe& probe : probes) sums.emplace_back(static_cast<size_t>(probe.squares.dim(-1)), 0.0);
  int32_t* ids = program.data<int32_t>(built->tokens);
  int32_t* positions = program.data<int32_t>(built->positions);
  for (int64_t t = 0; t < options.window; ++t) positions[t] = static_cast<int32_t>(t);
  const int64_t windows = importance_windows(static_cast<int64_t>(tokens.size()), options);
  for (int64_t window = 0; window < windows; ++window) {
    std::copy_n(tokens.begin() + window * options.window, options.window, ids);
    if (model.tokenizer.adds_bos() && model.tokenizer.bos()) ids[0] = *model.tokenizer.bos();
    program.run();
    for (size_t i = 0; i < probes.size(); ++i) {
      const float* squares = program.data<float>(probes[i].squares);
      for (size_t k = 0; k < sums[i].size(); ++k) {
        require(std::isfinite(squares[k]), "window {}: the input {} of {} is not finite", window, k,
                probes[i].weights.front());
        sums[i][k] += static_cast<double>(squares[k]);
      }
    }
    progress();
  }

  ImportanceMatrix matrix;
  matrix.chunks = windows;
  matrix.chunk_tokens = options.window;
  for (size_t i = 0; i < probes.size(); ++i)
    for (const std::string& weight : probes[i].weights)
      matrix.entries[weight] = {sums[i], {static_cast<double>(windows * options.window)}};
  return matrix;
}

}  // namespace margay
