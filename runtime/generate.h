// A prompt and what the model says next, as a stream of text.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/sampler.h"
#include "runtime/session.h"

namespace margay {

struct GenerateOptions {
  int64_t tokens = -1;             // at most; -1: until something else stops it
  bool ignore_eos = false;         // go on after the end of a text
  std::vector<std::string> stops;  // texts that end it; they are not part of the result
};

enum class StopReason { kEos, kTokens, kStopText, kContext, kInterrupted };
const char* stop_reason_name(StopReason reason);  // "eos", "tokens", "stop text", "context full", "interrupted"

struct GenerateResult {
  int64_t prompt_tokens = 0, generated_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  int64_t decode_steps = 0;  // runs of the model within decode_seconds: the first token comes from the prompt's run
  StopReason reason = StopReason::kTokens;

  double prefill_rate() const { return prefill_seconds > 0 ? static_cast<double>(prompt_tokens) / prefill_seconds : 0; }
  double decode_rate() const { return decode_seconds > 0 ? static_cast<double>(decode_steps) / decode_seconds : 0; }
};

// Feeds the prompt to a session of one sequence (which may hold earlier text) and samples from it. `emit` receives the
// text piece by piece, complete characters only. `cancelled` is asked between chunks of the prompt and between tokens.
// Throws Error when the prompt is empty or does not fit the session's context.
GenerateResult generate(
    Session& session, const Tokenizer& tokenizer, Sampler& sampler, std::span<const int32_t> prompt,
    const GenerateOptions& options, const std::function<void(std::string_view text)>& emit,
    const std::function<bool()>& cancelled = [] { return false; });

// Holds back what may become a stop text.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);  // empty ones are left out
  // Adds a piece of text; returns what is certain by now. stopped(): a stop text came, nothing follows.
  std::string push(std::string_view text);
  std::string finish();  // what was held back
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace margay
