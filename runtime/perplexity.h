// Perplexity of a text. The protocol is part of the figure: two protocols give two figures for one model and text.
#pragma once
#include <functional>
#include <span>
#include <string>

#include "base/threads.h"
#include "models/model.h"

namespace margay {

enum class PerplexityProtocol {
  kPlain,  // windows side by side, no BOS, every target of a window but its first token is scored
  kLlama,  // llama.cpp's: BOS in place of each window's first token where the tokenizer adds one, second half scored
};
const char* protocol_name(PerplexityProtocol protocol);          // "plain", "llama"
PerplexityProtocol protocol_from_name(const std::string& name);  // throws Error listing the names
int64_t default_window(PerplexityProtocol protocol);             // tokens: 1024, 512

struct PerplexityOptions {
  PerplexityProtocol protocol = PerplexityProtocol::kPlain;
  int64_t window = 0;       // tokens; 0: the protocol's default
  int64_t max_windows = 0;  // 0: all
  bool softmax = false;     // a linearized model as its softmax base
  bool window_only = false;
  bool float_products = false;
  bool reference = false;  // SessionOptions::reference
};

// Targets of a plain window from this index on count as late: what a model knows of text long past.
constexpr int64_t kLateTarget = 512;

struct PerplexityResult {
  std::string protocol;
  int64_t window = 0, windows = 0;            // tokens of a window; windows scored
  int64_t tokens = 0, late_tokens = 0;        // targets scored
  double cross_entropy = 0;                   // mean, nats
  double ppl = 0;                             // exp of it
  double ppl_error = 0;                       // standard error, from the variance over targets
  double late_cross_entropy = 0;              // plain only: mean over late_tokens; 0 without any
  double seconds = 0, tokens_per_second = 0;  // of all tokens fed
};

// Tokens of a text as the protocol wants them.
std::vector<int32_t> perplexity_tokens(const Tokenizer& tokenizer, const std::string& text,
                                       PerplexityProtocol protocol);
// Windows that will be scored. A tail shorter than a window is dropped, unless it is the whole text (plain).
// Throws Error when the text is too short.
int64_t perplexity_windows(int64_t tokens, const PerplexityOptions& options);

// Called after each window with the mean cross-entropy so far; false stops early.
using PerplexityProgress = std::function<bool(int64_t windows, double cross_entropy)>;
PerplexityResult measure_perplexity(const Model& model, Team& team, std::span<const int32_t> tokens,
                                    const PerplexityOptions& options, const PerplexityProgress& progress = {});

// -log softmax(logits)[target], summed in double.
double cross_entropy_of(std::span<const float> logits, int32_t target);

}  // namespace margay
