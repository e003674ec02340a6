// Cross-entropy of a recorded model, without gradients: what a stage's weights are worth before they are written.
#pragma once
#include "train/trainer.h"

namespace margay {

struct CrossEntropyResult {
  double mean = 0;  // nats, over all row_length - 1 targets of every row
  double late = 0;  // over targets at index >= row_length / 2
  double perplexity() const;
};

// Rows 0 .. rows - 1 of `source` (fill(row, 0, ...)). The plain protocol of perplexity when rows are windows of 1024.
CrossEntropyResult mean_cross_entropy(const std::string& what, const RecordModel& record, const RowSource& source,
                                      int64_t rows, int64_t row_length, Team& team);

// A model of the given attention with all logits; with LoRA where `lora` says so.
RecordModel plain_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                        AttentionMode attention, bool float_products, bool window_only = false, LoraScale lora = {});

}  // namespace margay
