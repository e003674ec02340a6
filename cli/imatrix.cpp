// margay imatrix: how large the inputs of a model's weights are over a text, for the quantizers.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"
#include "convert/tensor_stream.h"
#include "runtime/importance.h"

namespace margay {
namespace {

struct Options {
  std::string model, file, output;
  ImportanceOptions importance;
  int threads = 1;
  bool json = false;
};

void imatrix(const Options& options) {
  set_progress_quiet(options.json);
  check_output(options.output, {options.model, options.file});
  const std::string text = read_file_or_stdin(options.file);
  const Model model(options.model);
  const std::vector<int32_t> tokens = model.tokenizer.encode(text, true);
  const int64_t windows = importance_windows(static_cast<int64_t>(tokens.size()), options.importance);
  Team team(options.threads);
  Progress progress("imatrix", windows, "windows");
  ImportanceMatrix matrix = measure_importance(model, team, tokens, options.importance, [&] {
    throw_if_interrupted();
    progress.advance();
  });
  matrix.datasets = {std::filesystem::path(options.file).filename().string()};
  write_importance_matrix(options.output, matrix);
  progress.finish();
  if (options.json)
    print_out(nlohmann::ordered_json{{"file", options.output},
                                     {"entries", matrix.entries.size()},
                                     {"windows", matrix.chunks},
                                     {"window", matrix.chunk_tokens}}
                  .dump() +
              "\n");
  else
    fmt::print(stderr, "{}: {} matrices over {} windows of {} tokens\n", options.output, matrix.entries.size(),
               matrix.chunks, matrix.chunk_tokens);
}

}  // namespace

void add_imatrix(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Runs a model over a text and writes how large the inputs of each weight matrix are, column by column: errors "
      "in\n"
      "the columns with large inputs cost most, and quantize --imatrix avoids them. The text should be like what the\n"
      "model will be used for; 100 windows are plenty. The file is llama.cpp's GGUF format. Works for linearized "
      "models\n"
      "too. Use the F16, BF16, F32 or Q8_0 model.");
  add_model(app, options->model);
  app.add_option("-f,--file", options->file, "the text; - is standard input")->required()->type_name("FILE");
  app.add_option("-o,--output", options->output, "file to write; an older one is replaced when all went well")
      ->required()
      ->type_name("OUT.gguf");
  app.add_option("--ctx", options->importance.window, "tokens that the model sees at a time")
      ->check(CLI::Range(int64_t{8}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--windows", options->importance.max_windows, "windows to use at most; default: all of the text")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  add_threads(app, options->threads);
  add_json(app, options->json, "one JSON object: file, entries, windows, window");
  app.footer(
      "Example:\n"
      "  margay imatrix llama-1b-f16.gguf -f books.txt -o llama-1b-imatrix.gguf --windows 100\n"
      "  margay quantize llama-1b-f16.gguf llama-1b-q4.gguf q4_k_m --imatrix llama-1b-imatrix.gguf\n");
  app.callback([options] { imatrix(*options); });
}

}  // namespace margay
