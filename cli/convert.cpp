// margay convert: models of every kind to GGUF.
#include <memory>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/convert_report.h"
#include "cli/options.h"
#include "convert/adapt.h"
#include "convert/quantize.h"
#include "convert/target_type.h"

namespace margay {
namespace {

struct Options {
  std::string source, out, type, tokenizer, keep_lora;
  TargetFlags target;
  std::vector<std::string> loras;
  LolcatsOptions lolcats;
  int threads = 1;
  bool json = false;

  bool adapted() const { return !loras.empty() || !lolcats.checkpoints.empty(); }
};

ConvertReport convert_with_adapters(const Options& options, const TargetOptions& target) {
  AdaptOptions adapt;
  adapt.source = options.source;
  adapt.output = options.out;
  adapt.tokenizer = options.tokenizer;
  adapt.target = target;
  adapt.threads = options.threads;
  adapt.loras = lora_files(options.loras);
  adapt.lolcats = options.lolcats;
  adapt.keep_lora = options.keep_lora;
  adapt.say = [&](const std::string& line) {
    if (!options.json) fmt::print(stderr, "{}\n", line);
  };
  return convert_adapted(adapt);
}

void convert(const Options& options) {
  set_progress_quiet(options.json);
  const ModelType type = options.type.empty() ? default_type(options.source) : target_type(options.type);
  if (options.type.empty() && !options.json)
    fmt::print(stderr, "{}: writing {} (the {}; --type chooses another)\n", options.source, type.name,
               type.type == DType::Q8_0 ? "default" : "source's own type");
  ImportanceMatrix matrix;
  const TargetOptions target = target_options(type, options.target, matrix);
  const ConvertReport report =
      options.adapted() ? convert_with_adapters(options, target)
                        : convert_model(options.source, options.out, target, options.threads, options.tokenizer);
  print_convert_report(options.out, report, options.json, options.target.per_tensor);
}

void add_lolcats(CLI::App& app, Options& options) {
  LolcatsOptions& lolcats = options.lolcats;
  CLI::Option* checkpoint =
      app.add_option(
             "--lolcats", lolcats.checkpoints,
             "checkpoint of the LoLCATs reference on top of SRC: _distill.pt, then _ft.pt, or a model.pt of both. Its "
             "LoRA is\nmerged. May be given more than once")
          ->type_name("FILE.pt")
          ->allow_extra_args(false);
  app.add_option("--lolcats-config", lolcats.configs,
                 "YAML file of the checkpoint's model or experiment. Without: what the file names say (wtk64, wsw64), "
                 "else\nLoLCATs' published settings, which the report then notes")
      ->needs(checkpoint)
      ->type_name("FILE.yaml")
      ->allow_extra_args(false);
  app.add_option("--feature-map", lolcats.feature_map, "of the checkpoint, where nothing else says it")
      ->needs(checkpoint)
      ->type_name("MAP");
  app.add_option("--window-kind", lolcats.window_kind, "the same: terraced, sliding or none")
      ->needs(checkpoint)
      ->type_name("KIND");
  app.add_option("--window", lolcats.window, "the same: tokens of the window")
      ->needs(checkpoint)
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app.add_option("--lora-alpha", lolcats.lora_alpha, "the same: alpha of its LoRA; the scale is alpha / rank")
      ->needs(checkpoint)
      ->check(CLI::PositiveNumber);
  app.add_option("--keep-lora", options.keep_lora,
                 "write the checkpoint's LoRA as a GGUF adapter, for --lora, instead of merging it")
      ->needs(checkpoint)
      ->type_name("FILE.gguf");
}

}  // namespace

void add_convert(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Converts a model to GGUF. SRC is a Hugging Face model folder (config.json, tokenizer.json; model.safetensors "
      "or\n"
      "PyTorch's pytorch_model.bin, or the index of one of them and its shards; docs/models.md lists the families), a "
      "GGUF file (of a "
      "split\n"
      "model the first), which is written anew in another type, or a llama2.c checkpoint. The weights are streamed: "
      "memory\n"
      "does not grow with the model. The disk must hold the result beside the source;\n"
      "with --lora or --lolcats on a model that is no GGUF file, the base in GGUF as well, for a while.");
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
  add_lora(app, options->loras);
  add_lolcats(app, *options);
  add_target_flags(app, options->target);
  add_threads(app, options->threads);
  add_json(app, options->json, "the report as one JSON object on standard output; no progress");
  app.footer(std::string(kTypesHelp) +
             "Example:\n"
             "  margay convert ~/models/Llama-3.2-1B -o llama-1b.gguf --type q8_0\n"
             "  margay convert base.gguf --lora adapter -o merged.gguf\n"
             "  margay convert ~/models/Llama-3.1-8B --lolcats distill/model.pt --lolcats ft-lora/model.pt -o "
             "linear.gguf\n");
  app.callback([options] { convert(*options); });
}

}  // namespace margay
