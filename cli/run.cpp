// margay run: a prompt, and what the model says next.
#include <unistd.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"
#include "formats/chat_template.h"
#include "runtime/generate.h"

namespace margay {
namespace {

struct Options {
  std::string model;
  TextSource prompt;
  ChatInput chat;
  GenerateOptions generate{.tokens = 256, .ignore_eos = false, .stops = {}};
  SamplerOptions sampler{.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f};
  std::optional<uint64_t> seed;
  int64_t context = 0;
  int threads = 1;
  MapOptions map;
  std::vector<std::string> loras;
  bool reference = false, no_bos = false, echo = false, show_prompt = false, json = false, softmax = false,
       window_only = false, float_products = false;
};

uint64_t seed_from_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return (static_cast<uint64_t>(now) ^ static_cast<uint64_t>(getpid()) << 20) % 1000000007;
}

// KV caches for exactly what is asked for, or what the user says.
int64_t context_of(const Options& options, int64_t prompt_tokens) {
  if (options.context > 0) return options.context;
  return options.generate.tokens >= 0 ? std::max<int64_t>(1, prompt_tokens + options.generate.tokens) : 0;
}

std::string state_text(const Session& session) {
  const std::string linear = amount_text(static_cast<double>(session.linear_bytes()), "B") + " of constant state";
  const std::string kv = amount_text(static_cast<double>(session.kv_bytes()), "B") + " of KV cache";
  if (session.unlimited()) return linear;
  return session.linear_bytes() ? linear + " and " + kv : kv;
}

void print_statistics(const Session& session, const GenerateResult& result, uint64_t seed) {
  fmt::print(stderr, "\nprompt:    {} tokens in {}, {:.1f} tokens/s\n", result.prompt_tokens,
             duration_text(result.prefill_seconds), result.prefill_rate());
  fmt::print(stderr, "generated: {} tokens in {}, {:.1f} tokens/s, ended by {}\n", result.generated_tokens,
             duration_text(result.decode_seconds), result.decode_rate(), stop_reason_name(result.reason));
  fmt::print(stderr, "memory:    {} at {} tokens; seed {}\n", state_text(session), session.position(), seed);
}

void print_json(const Session& session, const GenerateResult& result, uint64_t seed, const std::string& text) {
  const nlohmann::ordered_json json = {
      {"text", text},
      {"stop", stop_reason_name(result.reason)},
      {"prompt_tokens", result.prompt_tokens},
      {"generated_tokens", result.generated_tokens},
      {"prefill_seconds", result.prefill_seconds},
      {"decode_seconds", result.decode_seconds},
      {"prefill_tokens_per_second", result.prefill_rate()},
      {"decode_tokens_per_second", result.decode_rate()},
      {"state_bytes", session.linear_bytes()},
      {"kv_bytes", session.kv_bytes()},
      {"seed", seed},
  };
  print_out(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

// What goes to the model: the text, and its tokens.
struct Prompt {
  std::string text;
  std::vector<int32_t> tokens;
};

Prompt make_prompt(const Options& options, const Tokenizer& tokenizer) {
  Prompt prompt;
  const bool begins = !options.no_bos && !options.reference;
  if (options.chat.wanted()) {
    prompt.text = chat_prompt(options.chat, options.prompt, tokenizer, options.model);
    prompt.tokens = encode_chat(tokenizer, prompt.text, begins);
  } else {
    prompt.text = read_text(options.prompt);
    prompt.tokens = tokenizer.encode(prompt.text, begins);
  }
  return prompt;
}

// The text with the token that goes before it, where that is not in the text.
std::string shown_prompt(const Prompt& prompt, const Tokenizer& tokenizer) {
  const auto bos = tokenizer.bos();
  const bool added =
      bos && !prompt.tokens.empty() && prompt.tokens[0] == *bos && !prompt.text.starts_with(tokenizer.token_text(*bos));
  return (added ? std::string(tokenizer.token_text(*bos)) : "") + prompt.text;
}

void run(const Options& options) {
  if (options.show_prompt) {
    const Tokenizer tokenizer = Tokenizer::from_gguf(GgufFile(options.model));
    return print_out(shown_prompt(make_prompt(options, tokenizer), tokenizer));
  }
  const Model model(options.model, options.map, lora_files(options.loras));
  const auto [prompt, tokens] = make_prompt(options, model.tokenizer);
  Team team(options.threads);
  SessionOptions settings;
  settings.capacity = context_of(options, static_cast<int64_t>(tokens.size()));
  settings.softmax = options.softmax;
  settings.window_only = options.window_only;
  settings.float_products = options.float_products;
  settings.reference = options.reference;
  Session session(model, team, settings);
  SamplerOptions sampling = options.sampler;
  sampling.seed = options.seed.value_or(seed_from_clock());
  Sampler sampler(sampling);

  std::string text = options.echo ? prompt : std::string();
  if (!options.json) print_out(text);
  const GenerateResult result = generate(
      session, model.tokenizer, sampler, tokens, options.generate,
      [&](std::string_view piece) {
        if (options.json) text += piece;
        else if (!piece.empty()) print_out(piece);
      },
      interrupted);
  if (options.json) {
    print_json(session, result, sampling.seed, text);
  } else {
    print_out("\n");
    print_statistics(session, result, sampling.seed);
  }
  if (result.reason == StopReason::kInterrupted) throw CLI::RuntimeError(130);
}

}  // namespace

void add_run(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Continues a text. The prompt comes from -p, from -f, or from standard input; the continuation streams to "
      "standard\n"
      "output, statistics follow on standard error. Ctrl-C ends it in order. A linearized model's memory does not "
      "grow\n"
      "with the text; KV caches of softmax layers do.");
  add_model(app, options->model);
  add_text(app, options->prompt, "the prompt; in a chat: what the user says");
  add_chat(app, options->chat);
  app.add_flag("--show-prompt", options->show_prompt, "print the text that would go to the model, and end");
  app.add_option("-n,--tokens", options->generate.tokens,
                 "tokens to generate at most; -1: until the text ends or Ctrl-C")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 31))
      ->capture_default_str();
  add_sampling(app, options->sampler);
  app.add_option("--seed", options->seed, "the same seed gives the same text; default: another one each time");
  app.add_option("--stop", options->generate.stops, "text that ends the generation, not printed; may be repeated")
      ->type_name("TEXT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--ignore-eos", options->generate.ignore_eos, "go on after the token that ends a text");
  app.add_flag("--no-bos", options->no_bos, "do not begin with the token that begins a text");
  app.add_flag("--echo", options->echo, "print the prompt first");
  app.add_option(
         "--ctx", options->context,
         "tokens that KV caches of softmax layers can hold; default: the prompt and N, or with -n -1 the model's "
         "context, at most 32768")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  add_lora(app, options->loras);
  add_reference(app, options->reference, "; no token that begins a text");
  app.add_flag("--softmax", options->softmax, "run a linearized model as its softmax base (LoRA stays in)");
  app.add_flag("--window-only", options->window_only, "leave out the linear terms, to see what they do");
  app.add_flag("--float", options->float_products, "multiply quantized weights in float32: slower, a little closer");
  add_memory(app, options->map);
  add_threads(app, options->threads);
  add_json(app, options->json, "one JSON object at the end: text, stop, tokens, seconds, rates, bytes, seed");
  app.footer(
      "Filters apply in this order: repeat penalty, temperature, top-k, top-p, min-p.\n\n"
      "Example:\n"
      "  margay run linear.gguf -p 'Once upon a time' -n 200 --temp 0.7\n"
      "  margay run linear.gguf -f book.txt -n -1 --seed 7\n"
      "  margay run chat.gguf --chat -p 'What is a margay?' --system 'Answer in one sentence.'\n"
      "  margay run chat.gguf --messages talk.json --chat-template chatml --show-prompt\n");
  app.callback([options] { run(*options); });
}

}  // namespace margay
