// An importance matrix from text: the squared inputs of every weight matrix of a model.
#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "base/threads.h"
#include "formats/importance_matrix.h"
#include "models/model.h"

namespace margay {

struct ImportanceOptions {
  int64_t window = 512;     // tokens that the model sees at a time
  int64_t max_windows = 0;  // 0: all of the text
};

// Windows of the text that will be used: whole ones only. Throws Error where there is none.
int64_t importance_windows(int64_t tokens, const ImportanceOptions& options);

// Runs the model over the windows, side by side as llama.cpp does (each begins with the token that begins a text, in
// place of its first one, where the tokenizer adds one), and sums. The output head is in it too. `progress` is called
// after each window and may throw. Products are in float32.
ImportanceMatrix measure_importance(const Model& model, Team& team, std::span<const int32_t> tokens,
                                    const ImportanceOptions& options, const std::function<void()>& progress);

}  // namespace margay
