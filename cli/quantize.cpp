// margay quantize: a GGUF file to one of another type.
#include "convert/quantize.h"

#include <memory>

#include "base/progress.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/convert_report.h"
#include "cli/options.h"
#include "convert/target_type.h"

namespace margay {
namespace {

struct Options {
  std::string in, out, type;
  TargetFlags target;
  int threads = 1;
  bool json = false;
};

void quantize(const Options& options) {
  set_progress_quiet(options.json);
  ImportanceMatrix matrix;
  const ConvertReport report = quantize_gguf(
      options.in, options.out, target_options(target_type(options.type), options.target, matrix), options.threads);
  print_convert_report(options.out, report, options.json, options.target.per_tensor);
}

}  // namespace

void add_quantize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Writes a GGUF model with its weights in another type and tells how far they moved: the root-mean-square\n"
      "difference, and that as a part of the weights' own. Works for linearized models too. The weights are streamed:\n"
      "memory does not grow with the model.");
  app.add_option("IN.gguf", options->in, "model to read; best an F16, BF16 or F32 one")->required();
  app.add_option("OUT.gguf", options->out, "model to write; an older one is replaced when all went well")->required();
  app.add_option("TYPE", options->type, "type of the weights (below), in any case of letters")
      ->required()
      ->check(check_type_name);
  add_target_flags(app, options->target);
  add_threads(app, options->threads);
  add_json(app, options->json, "the report as one JSON object on standard output; no progress");
  app.footer(
      std::string(kTypesHelp) +
      "Example:\n"
      "  margay quantize llama-1b-f16.gguf llama-1b-q4.gguf q4_0\n"
      "  margay quantize llama-1b-f16.gguf llama-1b-q4.gguf q4_k_m --imatrix llama-1b-imatrix.gguf --per-tensor\n");
  app.callback([options] { quantize(*options); });
}

}  // namespace margay
