#include "train/evaluate.h"

#include <cmath>

#include "base/interrupt.h"
#include "base/progress.h"

namespace margay {

double CrossEntropyResult::perplexity() const { return std::exp(mean); }

CrossEntropyResult mean_cross_entropy(const std::string& what, const RecordModel& record, const RowSource& source,
                                      int64_t rows, int64_t row_length, Team& team) {
  require(rows >= 1 && row_length >= 2, "cross-entropy of {} rows of {} tokens", rows, row_length);
  const std::unique_ptr<BuiltModel> model = record(1, row_length);
  const Tensor targets = model->graph.input("targets", make_shape({row_length}), DType::I32);
  const Tensor losses = cross_entropy(model->logits, targets);  // [row_length]
  Program program(model->graph, std::vector<Tensor>{losses}, team);
  std::vector<int32_t> row(static_cast<size_t>(row_length));
  double sum = 0, late_sum = 0;
  int64_t late_targets = 0;
  Progress progress(what, rows * row_length, "tokens");
  for (int64_t r = 0; r < rows; ++r) {
    throw_if_interrupted();
    source.fill(r, 0, row);
    for (int64_t t = 0; t < row_length; ++t) {
      const size_t i = static_cast<size_t>(t);
      program.data<int32_t>(model->tokens)[t] = row[i];
      program.data<int32_t>(model->positions)[t] = static_cast<int32_t>(t);
      program.data<int32_t>(targets)[t] = t + 1 < row_length ? row[i + 1] : -1;
    }
    program.run();
    const float* loss = program.data<float>(losses);
    for (int64_t t = 0; t + 1 < row_length; ++t) {
      sum += static_cast<double>(loss[t]);
      if (t + 1 < row_length / 2) continue;
      late_sum += static_cast<double>(loss[t]);
      ++late_targets;
    }
    progress.advance(row_length);
  }
  progress.finish();
  return {sum / static_cast<double>(rows * (row_length - 1)), late_sum / static_cast<double>(late_targets)};
}

RecordModel plain_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                        AttentionMode attention, bool float_products, bool window_only, LoraScale lora) {
  return [&config, &linear, &weights, attention, float_products, window_only, lora](int64_t sequences, int64_t tokens) {
    BuildOptions options;
    options.sequences = sequences;
    options.tokens = tokens;
    options.attention = attention;
    options.float_products = float_products;
    options.window_only = window_only;
    return build_model(config, linear, weights, options, lora);
  };
}

}  // namespace margay
