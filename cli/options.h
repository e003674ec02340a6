// Options and habits that several commands share.
#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/tokenizer.h"
#include "models/lora.h"
#include "runtime/sampler.h"

namespace margay {

void add_threads(CLI::App& app, int& threads);
void add_json(CLI::App& app, bool& json, const std::string& what);
void add_model(CLI::App& app, std::string& path);
// --lora FILE[=SCALE], any number of times.
void add_lora(CLI::App& app, std::vector<std::string>& texts);
std::vector<LoraFile> lora_files(const std::vector<std::string>& texts);
// --reference.
void add_reference(CLI::App& app, bool& reference, const std::string& more = {});
// --lock and --huge-pages; a refused lock is a warning on standard error.
void add_memory(CLI::App& app, MapOptions& options);
// --temp, --top-k, --top-p, --min-p, --repeat-penalty, --repeat-last-n; what `sampler` holds are the defaults.
void add_sampling(CLI::App& app, SamplerOptions& sampler);

// A text from an argument, a file or standard input.
struct TextSource {
  std::optional<std::string> text;  // -p
  std::string file;                 // -f; "-" is standard input
};
void add_text(CLI::App& app, TextSource& source, const std::string& what);
// The text; from standard input when neither option was given and it is no terminal. Throws CLI::ValidationError when
// there is nothing to read, Error when reading fails.
std::string read_text(const TextSource& source);
// A file's text, "-" for standard input.
std::string read_file_or_stdin(const std::string& path);

// A conversation, as the model's chat template wants it.
struct ChatInput {
  bool chat = false;          // --chat
  std::string template_name;  // --chat-template
  std::string messages;       // --messages FILE
  std::optional<std::string> system;
  bool wanted() const { return chat || !template_name.empty() || !messages.empty() || system; }
};
void add_chat(CLI::App& app, ChatInput& chat);  // each of its options makes the prompt a chat
// The rendered prompt of `chat`, with `user` as the user's message where there is no file of messages.
std::string chat_prompt(const ChatInput& chat, const TextSource& user, const Tokenizer& tokenizer,
                        const std::string& model);

// Writes to standard output at once. Throws Error when that fails (a full disk).
void print_out(std::string_view text);

}  // namespace margay
