// margay: the table of commands, and how mistakes become exit codes.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <new>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/command.h"

namespace margay {
namespace {

constexpr int kFailed = 1, kWrongUsage = 2, kInterrupted = 130;

struct Command {
  const char* name;
  const char* summary;  // in the list of commands
  AddCommand add;
};
constexpr Command kCommands[] = {
    {"convert", "models of every kind to GGUF, LoRA and LoLCATs checkpoints too", add_convert},
    {"quantize", "a GGUF model to another type", add_quantize},
    {"imatrix", "what matters most in a model's weights, for quantize", add_imatrix},
    {"linearize", "softmax attention to linear attention: trains, merges, quantizes, measures", add_linearize},
    {"run", "continue a text", add_run},
    {"perplexity", "how well a model predicts a text", add_perplexity},
    {"bench", "speed, beside what the machine can do", add_bench},
    {"export", "GGUF to a Hugging Face folder, adapters, a LoLCATs checkpoint", add_export},
    {"inspect", "what a model file holds", add_inspect},
    {"tokenize", "text to token ids and back", add_tokenize},
    {"logits", "a model's logits for given tokens, for comparison with other programs", add_logits},
    {"sample", "documents that a model writes by itself", add_sample},
    {"report", "models side by side: perplexity, speed, memory", add_report},
};

constexpr const char* kDescription =
    "margay linearizes Transformer language models and runs them on CPUs at constant memory and speed, whatever the\n"
    "length of the text. Models are GGUF files. `margay COMMAND --help` is the manual of a command.";
constexpr const char* kFooter =
    "Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage,\n"
    "130 interrupted.\n\n"
    "Example:\n"
    "  margay convert ~/models/Llama-3.2-1B -o base.gguf --type q8_0\n"
    "  margay linearize base.gguf -o linear.gguf --data books.txt\n"
    "  margay run linear.gguf -p 'Once upon a time' -n 200\n";

// Summaries in the list of commands; and of a value's range only what the option's text says.
class Formatter : public CLI::Formatter {
  std::string make_subcommand(const CLI::App* command) const override {
    std::ostringstream out;
    for (const Command& row : kCommands)
      if (command->get_name() == row.name) CLI::detail::format_help(out, row.name, row.summary, get_column_width());
    return out.str();
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text = CLI::Formatter::make_option_opts(option);
    const size_t begin = text.find(':');
    const size_t end = std::min(text.find('=', begin), text.find(" REQUIRED", begin));
    if (begin != std::string::npos) text.erase(begin, end == std::string::npos ? end : end - begin);
    return text;
  }
};

int fail_with(int code, const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "margay: %s\n", message.c_str());
  return code;
}

// The command that the user meant, for "see margay run --help".
std::string help_of(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) return "margay " + command->get_name() + " --help";
  return "margay --help";
}

int wrong_usage(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  for (char& c : message)
    if (c == '\n') c = ' ';
  return fail_with(kWrongUsage, message + " (see " + help_of(app) + ")");
}

// CLI11 would say that a command is missing.
bool unknown_command(const std::string& word) {
  if (word.empty() || word[0] == '-') return false;
  for (const Command& command : kCommands)
    if (word == command.name) return false;
  return true;
}

int run(int argc, char** argv) {
  CLI::App app(kDescription, "margay");
  app.footer(kFooter);
  app.formatter(std::make_shared<Formatter>());
  app.set_version_flag("--version", "margay " MARGAY_VERSION);
  app.require_subcommand(1);
  for (const Command& command : kCommands) command.add(*app.add_subcommand(command.name));
  if (argc < 2) {
    std::fputs(app.help().c_str(), stdout);
    return kWrongUsage;
  }
  if (unknown_command(argv[1]))
    return fail_with(kWrongUsage, "unknown command '" + std::string(argv[1]) + "' (see margay --help)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& error) {  // a command has said everything already
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? app.exit(error) : wrong_usage(app, error);
  }
  return 0;
}

}  // namespace
}  // namespace margay

int main(int argc, char** argv) {
  using namespace margay;
  std::signal(SIGPIPE, SIG_DFL);  // a reader that has seen enough ends the program, quietly
  install_interrupt_handler();
  int code = kFailed;
  try {
    code = run(argc, argv);
  } catch (const Interrupted& error) {
    return fail_with(margay::kInterrupted, error.what());
  } catch (const std::bad_alloc&) {
    return fail_with(kFailed, "out of memory");
  } catch (const std::exception& error) {
    return fail_with(kFailed, error.what());
  }
  if (std::fflush(stdout) != 0 && code == 0) return fail_with(kFailed, "cannot write to standard output");
  return code;
}
