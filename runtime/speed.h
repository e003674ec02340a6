// How fast a model runs, and how much memory a sequence takes, at a given depth of text.
#pragma once
#include "base/threads.h"
#include "models/model.h"

namespace margay {

struct SpeedOptions {
  int64_t depth = 1024;        // tokens in the session before decoding is timed
  int64_t decode_tokens = 64;  // timed decode steps
  bool softmax = false;        // a linearized model as its softmax base
  uint64_t seed = 1;           // of the random tokens
};

struct SpeedResult {
  int64_t depth = 0;
  double prefill_rate = 0;  // tokens a second over the whole depth; 0 at depth 0
  double decode_rate = 0;   // tokens a second: the median of eight runs of steps, so that one hiccup does not count
  int64_t state_bytes = 0;  // of the sequence at this depth: linear states and the used part of KV caches
};

SpeedResult measure_speed(const Model& model, Team& team, const SpeedOptions& options);

}  // namespace margay
