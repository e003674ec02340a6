// How fast a model runs, as a part of what the machine can do at the same time.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "models/model.h"
#include "runtime/limits.h"

namespace margay {

struct BenchmarkOptions {
  std::vector<int> threads = {1};
  std::vector<int64_t> prompts = {512};  // tokens: a prefill row each
  std::vector<int64_t> depths = {0};     // tokens in a sequence before decoding: a decode row for each batch
  std::vector<int64_t> batches = {1};    // sequences decoded side by side
  int64_t decode_tokens = 32;            // of a sequence, timed in each repeat
  int repeats = 3;                       // each one measures the limits, then the model
  bool random_state = false;             // reach a depth by Session::skip_to() instead of prefilling it
  bool softmax = false;                  // run a linearized model as its softmax base
  uint64_t seed = 1;                     // of the random tokens
};

// Medians over the repeats.
struct BenchmarkRow {
  bool prefill = false;
  int threads = 1;
  int64_t tokens = 0;  // of the prompt, or the depth
  int64_t batch = 1;
  double rate = 0;   // tokens a second, of all sequences together
  double limit = 0;  // what the machine allows: see below
  double ratio = 0;  // of a repeat's rate to its own limit
  Limits limits;     // of the machine
  int64_t state_bytes = 0;
  int64_t peak_bytes = 0;  // the most memory the process had, without what measuring the limits takes; 0: not known
};

// What running a model asks of the machine.
struct ModelWork {
  int64_t decode_bytes = 0;    // of weights read for a step, whatever the number of sequences
  double prompt_products = 0;  // multiply-adds for a token of a prompt: parameters without embedding and head
  bool int8 = false;           // most of them are of quantized weights, multiplied as bytes

  explicit ModelWork(const Model& model);
  // Tokens a second: read bandwidth over the weights' bytes, times the batch.
  double decode_limit(const Limits& limits, int64_t batch) const;
  // Peak operations (int8 or float32) over two a product.
  double prefill_limit(const Limits& limits) const;
};

// Hands out each row when it is measured, for each number of threads: the prompts, then for each batch the depths.
// `say` is told what is being measured. Throws Error, and Interrupted on Ctrl-C.
void measure_benchmark(const Model& model, const BenchmarkOptions& options,
                       const std::function<void(const std::string&)>& say,
                       const std::function<void(const BenchmarkRow&)>& on_row);

// Seconds from an open model to the logits of its first token: records and plans the graph, runs it once.
double first_token_seconds(const Model& model, int threads);

}  // namespace margay
