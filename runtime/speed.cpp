#include "runtime/speed.h"

#include <algorithm>
#include <chrono>

#include "base/random.h"
#include "runtime/session.h"

namespace margay {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kRuns = 8;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

SpeedResult measure_speed(const Model& model, Team& team, const SpeedOptions& options) {
  require(options.depth >= 0 && options.decode_tokens >= 1, "speed at depth {} over {} tokens: use 0 and 1 or more",
          options.depth, options.decode_tokens);
  const int64_t steps = (options.decode_tokens + kRuns - 1) / kRuns;  // of one run
  SessionOptions settings;
  settings.capacity = options.depth + 1 + kRuns * steps;
  settings.softmax = options.softmax;
  Session session(model, team, settings);
  Random random(options.seed);
  const auto token = [&] { return static_cast<int32_t>(random.below(static_cast<uint64_t>(session.vocabulary()))); };
  std::vector<int32_t> prompt(static_cast<size_t>(options.depth));
  for (int32_t& id : prompt) id = token();

  SpeedResult result;
  result.depth = options.depth;
  if (options.depth > 0) {
    // Records the programs of a whole chunk and of the last one, and maps the weights in.
    const int64_t chunk = session.chunk_tokens();
    const int64_t warm = options.depth <= chunk ? 0 : chunk * ((options.depth - 1) / chunk - 1);
    session.feed(std::span(prompt).subspan(static_cast<size_t>(warm)));
    session.reset();
    const Clock::time_point start = Clock::now();
    session.feed(prompt);
    result.prefill_rate = static_cast<double>(options.depth) / seconds_since(start);
  }
  result.state_bytes = session.state_bytes();
  session.feed(token());  // warms the step's program
  std::vector<double> rates;
  for (int64_t run = 0; run < kRuns; ++run) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < steps; ++i) session.feed(token());
    rates.push_back(static_cast<double>(steps) / seconds_since(start));
  }
  std::nth_element(rates.begin(), rates.begin() + kRuns / 2, rates.end());
  result.decode_rate = rates[kRuns / 2];
  return result;
}

}  // namespace margay
