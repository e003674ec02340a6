#include "runtime/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "runtime/session.h"

namespace margay {
namespace {

struct ProtocolInfo {
  PerplexityProtocol protocol;
  const char* name;
  int64_t window;
};
constexpr ProtocolInfo kProtocols[] = {
    {PerplexityProtocol::kPlain, "plain", 1024},
    {PerplexityProtocol::kLlama, "llama", 512},
};

// Sums over the targets scored so far.
struct Scores {
  int64_t count = 0, late_count = 0;
  double sum = 0, squares = 0, late_sum = 0;

  void add(double loss, bool late) {
    ++count;
    sum += loss;
    squares += loss * loss;
    if (late) ++late_count, late_sum += loss;
  }
  double mean() const { return count ? sum / static_cast<double>(count) : 0; }
  double standard_error() const {  // of the mean
    if (count < 2) return 0;
    const double n = static_cast<double>(count), variance = std::max(0.0, squares / n - mean() * mean());
    return std::sqrt(variance / (n - 1));
  }
};

// Losses of targets 1 ... of one window, by target index; loss[0] is not used.
void window_losses(Session& session, Team& team, std::span<const int32_t> window, std::vector<double>& loss) {
  loss.assign(window.size(), 0);
  session.reset();
  session.feed_all_logits(window, [&](int64_t, int64_t first, int64_t rows, std::span<const float> logits) {
    const int64_t v = session.vocabulary(), last = std::min(rows, static_cast<int64_t>(window.size()) - 1 - first);
    team.run([&](int thread) {
      for (int64_t r = thread; r < last; r += team.size()) {
        const size_t target = static_cast<size_t>(first + r + 1);
        loss[target] =
            cross_entropy_of(logits.subspan(static_cast<size_t>(r * v), static_cast<size_t>(v)), window[target]);
      }
    });
  });
}

PerplexityResult result_of(const Scores& scores, const PerplexityOptions& options, int64_t window, int64_t windows) {
  PerplexityResult result;
  result.protocol = protocol_name(options.protocol);
  result.window = window;
  result.windows = windows;
  result.tokens = scores.count;
  result.cross_entropy = scores.mean();
  result.ppl = std::exp(scores.mean());
  result.ppl_error = result.ppl * scores.standard_error();
  result.late_tokens = scores.late_count;
  if (scores.late_count) result.late_cross_entropy = scores.late_sum / static_cast<double>(scores.late_count);
  return result;
}

}  // namespace

const char* protocol_name(PerplexityProtocol protocol) { return kProtocols[static_cast<int>(protocol)].name; }

int64_t default_window(PerplexityProtocol protocol) { return kProtocols[static_cast<int>(protocol)].window; }

PerplexityProtocol protocol_from_name(const std::string& name) {
  for (const ProtocolInfo& row : kProtocols)
    if (name == row.name) return row.protocol;
  fail("unknown protocol '{}'; there are plain and llama", name);
}

double cross_entropy_of(std::span<const float> logits, int32_t target) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - largest));
  return std::log(sum) - static_cast<double>(logits[static_cast<size_t>(target)] - largest);
}

std::vector<int32_t> perplexity_tokens(const Tokenizer& tokenizer, const std::string& text,
                                       PerplexityProtocol protocol) {
  return tokenizer.encode(text, protocol == PerplexityProtocol::kLlama);
}

int64_t perplexity_windows(int64_t tokens, const PerplexityOptions& options) {
  const int64_t window = options.window ? options.window : default_window(options.protocol);
  require(window >= (options.protocol == PerplexityProtocol::kLlama ? 4 : 2), "windows of {} tokens are too short",
          window);
  int64_t windows = tokens / window;
  if (options.protocol == PerplexityProtocol::kPlain && windows == 0 && tokens >= 2) windows = 1;
  require(windows > 0, "the text has {} tokens, too few for a window of {}; give more text or a smaller --ctx", tokens,
          window);
  return options.max_windows > 0 ? std::min(windows, options.max_windows) : windows;
}

PerplexityResult measure_perplexity(const Model& model, Team& team, std::span<const int32_t> tokens,
                                    const PerplexityOptions& options, const PerplexityProgress& progress) {
  const bool llama = options.protocol == PerplexityProtocol::kLlama;
  const int64_t windows = perplexity_windows(static_cast<int64_t>(tokens.size()), options);
  const int64_t window =
      std::min(options.window ? options.window : default_window(options.protocol), static_cast<int64_t>(tokens.size()));
  SessionOptions settings;
  settings.capacity = window;
  settings.softmax = options.softmax;
  settings.window_only = options.window_only;
  settings.float_products = options.float_products;
  settings.reference = options.reference;
  Session session(model, team, settings);
  const int64_t first_target = llama ? window / 2 + 1 : 1;
  Scores scores;
  std::vector<double> loss;
  std::vector<int32_t> piece;
  const auto start = std::chrono::steady_clock::now();
  int64_t done = 0;
  while (done < windows) {
    const auto begin = tokens.begin() + done * window;
    piece.assign(begin, begin + window);
    if (llama && model.tokenizer.adds_bos() && model.tokenizer.bos()) piece[0] = *model.tokenizer.bos();
    window_losses(session, team, piece, loss);
    for (int64_t i = first_target; i < window; ++i) {
      const double value = loss[static_cast<size_t>(i)];
      require(std::isfinite(value), "window {} token {}: the logits are not finite", done, i);
      scores.add(value, !llama && i >= kLateTarget);
    }
    ++done;
    if (progress && !progress(done, scores.mean())) break;
  }
  PerplexityResult result = result_of(scores, options, window, done);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.tokens_per_second = static_cast<double>(done * window) / result.seconds;
  return result;
}

}  // namespace margay
