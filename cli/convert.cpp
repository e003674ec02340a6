// margay convert: models of every kind to GGUF.
#include <memory>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/convert_report.h"
#include "cli/options.h"
#include "convert/quantize.h"
#include "convert/target_type.h"

namespace margay {
namespace {

struct Options {
  std::string source, out, type, tokenizer;
  std::vector<std::string> tensor_types;
  int threads = 1;
  bool json = false;
};

void convert(const Options& options) {
  set_progress_quiet(options.json);
  const DType type = options.type.empty() ? default_type(options.source) : target_type(options.type);
  if (options.type.empty() && !options.json)
    fmt::print(stderr, "{}: writing {} (the {}; --type chooses another)\n", options.source, type_name(type),
               type == DType::Q8_0 ? "default" : "source's own type");
  print_convert_report(options.out,
                       convert_model(options.source, options.out, type, options.threads,
                                     tensor_types(options.tensor_types), options.tokenizer),
                       options.json);
}

}  // namespace

void add_convert(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Converts a model to GGUF. SRC is a Hugging Face model folder (config.json, tokenizer.json; model.safetensors "
      "or\n"
      "PyTorch's pytorch_model.bin, or the index of one of them and its shards; Llama models), a GGUF file (of a "
      "split\n"
      "model the first), which is written anew in another type, or a llama2.c checkpoint. The weights are streamed: "
      "memory\n"
      "does not grow with the model. The disk must hold the result beside the source.");
  app.add_option("SRC", options->source, "Hugging Face model folder, GGUF file or llama2.c checkpoint")->required();
  app.add_option("-o,--output", options->out, "GGUF file to write; an older one is replaced when all went well")
      ->required()
      ->type_name("OUT.gguf");
  app.add_option("--type", options->type,
                 "type of the weights (below), in any case of letters; default: the source's own 16-bit type, or q8_0")
      ->type_name("TYPE")
      ->check(check_type_name);
  app.add_option("--tokenizer", options->tokenizer, "of a llama2.c checkpoint; default: tokenizer.bin in its folder")
      ->type_name("tokenizer.bin");
  add_tensor_types(app, options->tensor_types);
  add_threads(app, options->threads);
  add_json(app, options->json, "the report as one JSON object on standard output; no progress");
  app.footer(std::string(kTypesHelp) +
             "Example:\n"
             "  margay convert ~/models/Llama-3.2-1B -o llama-1b.gguf --type q8_0\n");
  app.callback([options] { convert(*options); });
}

}  // namespace margay
