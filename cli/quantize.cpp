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
  std::vector<std::string> tensor_types;
  int threads = 1;
  bool json = false;
};

void quantize(const Options& options) {
  set_progress_quiet(options.json);
  const ConvertReport report = quantize_gguf(options.in, options.out, target_type(options.type), options.threads,
                                             tensor_types(options.tensor_types));
  print_convert_report(options.out, report, options.json);
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
  add_tensor_types(app, options->tensor_types);
  add_threads(app, options->threads);
  add_json(app, options->json, "the report as one JSON object on standard output; no progress");
  app.footer(
      "Types and bits a weight: f32, f16 and bf16 (16), q8_0 (8.5), q6_k (6.6), q5_k_m (5.7), q5_1 (6), q5_0 (5.5),\n"
      "q4_k_m (4.8), q4_1 (5), q4_0 (4.5), iq4_nl (4.5), iq4_xs (4.3), q3_k_m (3.9), q2_k (2.9). K types and IQ4 are\n"
      "llama.cpp's mixes: some tensors get more bits. Vectors (norms), feature maps and RoPE factors stay F32 "
      "whatever\n"
      "the type; the output head is Q6_K (Q8_0 under q8_0 and q4_0, and where its rows are no multiple of 256).\n"
      "Matrices whose rows are no multiple of a type's 256 or 32 fall back: q4_k to Q5_0, q5_k to Q5_1, q6_k to Q8_0,\n"
      "q2_k, q3_k and iq4_xs to IQ4_NL, and to F16 where they are no multiple of 32.\n\n"
      "Example:\n"
      "  margay quantize llama-1b-f16.gguf llama-1b-q4.gguf q4_0\n");
  app.callback([options] { quantize(*options); });
}

}  // namespace margay
