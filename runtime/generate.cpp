#include "runtime/generate.h"

#include <algorithm>
#include <chrono>

namespace margay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Feeds the prompt chunk by chunk; false when it was cancelled.
bool prefill(Session& session, std::span<const int32_t> prompt, const std::function<bool()>& cancelled) {
  const size_t chunk = static_cast<size_t>(session.chunk_tokens());
  for (size_t first = 0; first < prompt.size(); first += chunk) {
    if (cancelled()) return false;
    session.feed(prompt.subspan(first, std::min(chunk, prompt.size() - first)));
  }
  return true;
}

// Length of the end of `text` that may be the beginning of `stop`.
size_t held_back(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(stop.size() - 1, text.size()); length > 0; --length)
    if (text.ends_with(stop.substr(0, length))) return length;
  return 0;
}

}  // namespace

const char* stop_reason_name(StopReason reason) {
  constexpr const char* kNames[] = {"eos", "tokens", "stop text", "context full", "interrupted"};
  return kNames[static_cast<int>(reason)];
}

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return {};
  pending_ += text;
  size_t certain = pending_.size();
  for (const std::string& stop : stops_) certain = std::min(certain, pending_.find(stop));
  stopped_ = certain < pending_.size();
  for (const std::string& stop : stops_)
    if (!stopped_) certain = std::min(certain, pending_.size() - held_back(pending_, stop));
  std::string result = pending_.substr(0, certain);
  pending_.erase(0, certain);
  return result;
}

std::string StopMatcher::finish() { return stopped_ ? std::string() : std::exchange(pending_, {}); }

namespace {

// The loop's state: what was sampled last, and the text on its way out.
class Generation {
 public:
  Generation(Session& session, const Tokenizer& tokenizer, Sampler& sampler, std::span<const int32_t> prompt,
             const GenerateOptions& options)
      : session_(session),
        sampler_(sampler),
        options_(options),
        eos_(tokenizer.eos()),
        known_(static_cast<size_t>(std::min<int64_t>(tokenizer.vocab_size(), session.vocabulary()))),
        decoder_(tokenizer, true, prompt),
        matcher_(options.stops) {}

  // Samples a token and hands out its text. False, with the reason in `result`: the end.
  bool step(GenerateResult& result, const std::function<void(std::string_view)>& emit) {
    if (options_.tokens >= 0 && result.generated_tokens >= options_.tokens) return stop(result, StopReason::kTokens);
    if (result.generated_tokens > 0) {
      if (session_.context_left() == 0) return stop(result, StopReason::kContext);
      session_.feed(last_);
      ++result.decode_steps;
    }
    last_ = sampler_.sample(session_.logits().first(known_));
    if (!options_.ignore_eos && std::find(eos_.begin(), eos_.end(), last_) != eos_.end())
      return stop(result, StopReason::kEos);
    sampler_.accept(last_);
    ++result.generated_tokens;
    emit(matcher_.push(decoder_.push(last_)));
    return matcher_.stopped() ? stop(result, StopReason::kStopText) : true;
  }

  void finish(const std::function<void(std::string_view)>& emit) {
    emit(matcher_.push(decoder_.finish()));
    emit(matcher_.finish());
  }

  static bool stop(GenerateResult& result, StopReason reason) {
    result.reason = reason;
    return false;
  }

 private:
  Session& session_;
  Sampler& sampler_;
  const GenerateOptions& options_;
  const std::vector<int32_t>& eos_;
  const size_t known_;  // ids that the tokenizer knows; the model's vocabulary may be padded
  StreamDecoder decoder_;
  StopMatcher matcher_;
  int32_t last_ = -1;
};

}  // namespace

GenerateResult generate(Session& session, const Tokenizer& tokenizer, Sampler& sampler, std::span<const int32_t> prompt,
                        const GenerateOptions& options, const std::function<void(std::string_view text)>& emit,
                        const std::function<bool()>& cancelled) {
  require(session.sequences() == 1, "generate: a session of {} sequences", session.sequences());
  require(!prompt.empty(), "the prompt is empty, and this model's tokenizer adds no token that begins a text");
  const int64_t length = static_cast<int64_t>(prompt.size()), before = session.position();
  require(length <= session.context_left(),
          "the prompt's {} tokens do not fit: the context has room for {}; give a larger --ctx", length,
          session.context_left());
  GenerateResult result;
  sampler.accept(prompt);
  Clock::time_point start = Clock::now();
  const bool filled = prefill(session, prompt, cancelled);
  result.prompt_tokens = session.position() - before;
  result.prefill_seconds = seconds_since(start);

  Generation generation(session, tokenizer, sampler, prompt, options);
  start = Clock::now();
  bool going = filled || Generation::stop(result, StopReason::kInterrupted);
  while (going)
    going = cancelled() ? Generation::stop(result, StopReason::kInterrupted) : generation.step(result, emit);
  result.decode_seconds = seconds_since(start);
  generation.finish(emit);
  return result;
}

}  // namespace margay
