// Models of real shapes with random weights: speed is measured without a download.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "convert/target_type.h"
#include "models/config.h"

namespace margay {

// One row each.
struct SyntheticShape {
  const char* name;
  int64_t layers, width, heads, kv_heads, head_dim, feed_forward, vocabulary, context;
  bool tied;  // the embedding table is the head too
  double rope_base;
  double rope_factor;  // of llama3's scaling over 8192 tokens; 0: none
};
const std::vector<SyntheticShape>& synthetic_shapes();
const SyntheticShape& synthetic_shape(const std::string& name);  // throws Error listing them

struct SyntheticOptions {
  std::string shape;
  ModelType type = DType::Q4_0;  // choose_type() says which tensor gets what, as in a converted model
  bool linear = false;  // all layers linearized: terraced window of 64, a Hedgehog map of head_dim columns a head
  uint64_t seed = 1;
};

// Bytes of its weights.
uint64_t synthetic_bytes(const SyntheticOptions& options);
// Writes the GGUF file, atomically; its text makes no sense, but every program that reads such files can run it: it has
// a byte-level vocabulary of the real size with made-up merges (also where the real model's tokenizer is another one).
void write_synthetic(const SyntheticOptions& options, const std::string& path);
// The same bytes, piece by piece.
void stream_synthetic(const SyntheticOptions& options, const std::function<void(const void*, size_t)>& out);

}  // namespace margay
