#include "cli/options.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/threads.h"
#include "formats/chat_template.h"
#include "formats/utf8.h"

namespace margay {
namespace {

// Interruptible: Ctrl-C while a terminal is read.
std::string read_stdin() {
  std::string text;
  char piece[1 << 16];
  for (;;) {
    const ssize_t bytes = read(STDIN_FILENO, piece, sizeof piece);
    throw_if_interrupted();
    require(bytes >= 0, "cannot read standard input");
    if (bytes == 0) return text;
    text.append(piece, static_cast<size_t>(bytes));
  }
}

}  // namespace

void add_threads(CLI::App& app, int& threads) {
  threads = default_threads();
  app.add_option("-t,--threads", threads, "threads to use")->check(CLI::Range(1, 1024))->capture_default_str();
}

void add_json(CLI::App& app, bool& json, const std::string& what) { app.add_flag("--json", json, what); }

void add_model(CLI::App& app, std::string& path) {
  app.add_option("MODEL", path, "GGUF model, softmax or linearized")->required();
}

void add_lora(CLI::App& app, std::vector<std::string>& texts) {
  app.add_option(
         "--lora", texts,
         "LoRA adapter: a PEFT folder (adapter_config.json), or a GGUF adapter; its correction counts SCALE times\n"
         "(default 1). May be given more than once")
      ->type_name("FILE[=SCALE]")
      ->allow_extra_args(false);
}

std::vector<LoraFile> lora_files(const std::vector<std::string>& texts) {
  std::vector<LoraFile> files;
  for (const std::string& text : texts) files.push_back(parse_lora_file(text));
  return files;
}

void add_reference(CLI::App& app, bool& reference, const std::string& more) {
  app.add_flag(
      "--reference", reference,
      "as the LoLCATs reference runs a checkpoint: terraces end where the text first fed ends, what follows is\n"
      "decoded with a sliding window" +
          more);
}

void add_memory(CLI::App& app, MapOptions& options) {
  app.add_flag("--lock", options.lock, "keep the weights in memory (mlock): no page of them is ever dropped");
  app.add_flag("--huge-pages", options.huge_pages,
               "copy the weights into huge pages: some percent faster, but all of the file is read first");
  options.warn = [](const std::string& message) { fmt::print(stderr, "margay: warning: {}\n", message); };
}

void add_sampling(CLI::App& app, SamplerOptions& sampler) {
  app.add_option("--temp", sampler.temperature, "temperature; 0: always the most likely token")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--top-k", sampler.top_k, "draw from the K most likely tokens; 0: all")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  app.add_option("--top-p", sampler.top_p, "draw from the fewest tokens whose probabilities reach P; 1: all")
      ->check(CLI::Range(1e-6f, 1.0f))
      ->capture_default_str();
  app.add_option("--min-p", sampler.min_p, "leave out tokens less likely than P times the most likely one; 0: none")
      ->check(CLI::Range(0.0f, 1.0f))
      ->capture_default_str();
  app.add_option("--repeat-penalty", sampler.repeat_penalty, "above 1: makes recent tokens less likely")
      ->check(CLI::Range(0.01f, 100.0f))
      ->capture_default_str();
  app.add_option("--repeat-last-n", sampler.repeat_last_n, "tokens that count as recent")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
}

void add_text(CLI::App& app, TextSource& source, const std::string& what) {
  CLI::Option* text = app.add_option("-p,--prompt", source.text, what)->type_name("TEXT");
  app.add_option("-f,--file", source.file, what + ", from a file; - is standard input")
      ->type_name("FILE")
      ->excludes(text);
}

std::string read_file_or_stdin(const std::string& path) { return path == "-" ? read_stdin() : read_text_file(path); }

std::string read_text(const TextSource& source) {
  if (source.text) return *source.text;
  if (!source.file.empty()) return read_file_or_stdin(source.file);
  if (isatty(STDIN_FILENO)) throw CLI::ValidationError("no text: give -p TEXT, -f FILE, or a text on standard input");
  return read_stdin();
}

void add_chat(CLI::App& app, ChatInput& chat) {
  app.add_flag("--chat", chat.chat, "the prompt is a message: put it into the model's chat template");
  app.add_option("--system", chat.system, "a system message to begin the chat with")->type_name("TEXT");
  app.add_option("--messages", chat.messages, "the whole chat: a JSON list of {\"role\": ..., \"content\": ...}")
      ->type_name("FILE.json")
      ->excludes("--prompt")
      ->excludes("--file")
      ->excludes("--system");
  app.add_option(
         "--chat-template", chat.template_name,
         fmt::format("in place of the model's own: {}, or a Jinja file", fmt::join(chat_template_names(), ", ")))
      ->type_name("NAME|FILE");
}

std::string chat_prompt(const ChatInput& chat, const TextSource& user, const Tokenizer& tokenizer,
                        const std::string& model) {
  const ChatTemplate layout =
      chat.template_name.empty() ? ChatTemplate::of(tokenizer, model) : ChatTemplate::named(chat.template_name);
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!chat.messages.empty()) {
    messages = parse_messages(read_file_or_stdin(chat.messages), chat.messages);
  } else {
    if (chat.system) messages.push_back({{"role", "system"}, {"content", repair_utf8(*chat.system)}});
    messages.push_back({{"role", "user"}, {"content", repair_utf8(read_text(user))}});
  }
  ChatOptions options;
  if (tokenizer.bos()) options.bos = tokenizer.token_text(*tokenizer.bos());
  if (!tokenizer.eos().empty()) options.eos = tokenizer.token_text(tokenizer.eos()[0]);
  return layout.render(messages, options);
}

void print_out(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  require(written && std::fflush(stdout) == 0, "cannot write to standard output");
}

}  // namespace margay
