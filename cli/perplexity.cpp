// margay perplexity: how well a model predicts a text.
#include "runtime/perplexity.h"

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"

namespace margay {
namespace {

struct Options {
  std::string model, file, protocol;
  PerplexityOptions perplexity;
  std::vector<std::string> loras;
  int threads = 1;
  bool json = false;
};

void print_json(const Options& options, const PerplexityResult& result) {
  nlohmann::ordered_json json = {
      {"ppl", result.ppl},
      {"ppl_error", result.ppl_error},
      {"cross_entropy", result.cross_entropy},
      {"protocol", result.protocol},
      {"window", result.window},
      {"windows", result.windows},
      {"tokens", result.tokens},
      {"softmax", options.perplexity.softmax},
      {"window_only", options.perplexity.window_only},
      {"seconds", result.seconds},
      {"tokens_per_second", result.tokens_per_second},
  };
  if (result.late_tokens) {
    json["late_cross_entropy"] = result.late_cross_entropy;
    json["late_tokens"] = result.late_tokens;
  }
  print_out(json.dump() + "\n");
}

void print_text(const PerplexityResult& result) {
  std::string text = fmt::format("perplexity     {:.4f} +- {:.4f}\ncross-entropy  {:.5f} nats\n", result.ppl,
                                 result.ppl_error, result.cross_entropy);
  if (result.late_tokens)
    text += fmt::format("late           {:.5f} nats (targets at index >= {} of a window)\n", result.late_cross_entropy,
                        kLateTarget);
  text += fmt::format("protocol       {}: {} windows of {} tokens, {} targets\nspeed          {:.0f} tokens/s\n",
                      result.protocol, result.windows, result.window, result.tokens, result.tokens_per_second);
  print_out(text);
}

void perplexity(Options options) {
  if (options.protocol.empty()) options.protocol = options.perplexity.window ? "llama" : "plain";
  options.perplexity.protocol = protocol_from_name(options.protocol);
  require(!options.perplexity.reference || options.perplexity.protocol == PerplexityProtocol::kPlain,
          "--reference goes with --protocol plain: the reference has no BOS");
  set_progress_quiet(options.json);
  const std::string text = read_file_or_stdin(options.file);
  const Model model(options.model, {}, lora_files(options.loras));
  const bool linear_only = options.perplexity.softmax || options.perplexity.window_only;
  require(!linear_only || model.linear.any(),
          "{}: has no linearized layers; --softmax and --window-only are for linearized models", options.model);
  const std::vector<int32_t> tokens = perplexity_tokens(model.tokenizer, text, options.perplexity.protocol);
  const int64_t windows = perplexity_windows(static_cast<int64_t>(tokens.size()), options.perplexity);
  Team team(options.threads);
  Progress progress("perplexity", windows, "windows");
  const PerplexityResult result =
      measure_perplexity(model, team, tokens, options.perplexity, [&](int64_t, double cross_entropy) {
        throw_if_interrupted();
        progress.note(fmt::format("PPL {:.3f}", std::exp(cross_entropy)));
        progress.advance();
        return true;
      });
  progress.finish();
  if (options.json) print_json(options, result);
  else print_text(result);
}

}  // namespace

void add_perplexity(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Measures how well a model predicts a text: perplexity = exp(mean cross-entropy of the next token). Two "
      "protocols\n"
      "give two figures; the result names its own.\n"
      "  plain  windows of 1024 tokens side by side, no BOS, every target of a window but its first token is scored; "
      "a\n"
      "         tail shorter than a window is dropped (unless it is the whole text)\n"
      "  llama  llama.cpp's: windows of 512 tokens, BOS in place of each first token where the tokenizer adds one, "
      "the\n"
      "         second half scored");
  add_model(app, options->model);
  app.add_option("-f,--file", options->file, "the text; - is standard input")->required()->type_name("FILE");
  app.add_option("--protocol", options->protocol, "plain or llama; default: plain, or llama where --ctx is given")
      ->check(CLI::IsMember({"plain", "llama"}));
  app.add_option("--ctx", options->perplexity.window,
                 "tokens of a window, and the llama protocol unless --protocol says otherwise")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 24));
  app.add_option("--windows", options->perplexity.max_windows, "windows to score at most; default: all")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  add_lora(app, options->loras);
  add_reference(app, options->perplexity.reference);
  app.add_flag("--softmax", options->perplexity.softmax, "run a linearized model as its softmax base (LoRA stays in)");
  app.add_flag("--window-only", options->perplexity.window_only, "leave out the linear terms, to see what they do");
  app.add_flag("--float", options->perplexity.float_products,
               "multiply quantized weights in float32: slower, a little closer");
  add_threads(app, options->threads);
  add_json(app, options->json, "one JSON object: ppl, ppl_error, cross_entropy, protocol, windows, tokens...");
  app.footer(
      "Example:\n"
      "  margay perplexity linear.gguf -f held-out.txt --windows 96\n");
  app.callback([options] { perplexity(*options); });
}

}  // namespace margay
