// margay linearize: import, attention transfer, LoRA, merge, quantize, measure.
#include "convert/linearize.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/command.h"
#include "cli/convert_report.h"
#include "cli/options.h"
#include "convert/target_type.h"

namespace margay {
namespace {

struct Options {
  LinearizeOptions linearize;
  std::string type, window_kind = "terraced", schedule = "cosine", targets = "q,k,v,o", products = "auto";
  int64_t sequences = 8, micro = 1, length = 1024;
  double validate_share = 0.25;
  int threads = 1;
  bool json = false, no_measure = false;
};

void print_json(const Options& options, const LinearizeReport& report) {
  nlohmann::ordered_json json = {{"file", options.linearize.output},
                                 {"protocol", report.protocol},
                                 {"base_ppl", report.base_ppl},
                                 {"swap_ppl", report.swap_ppl},
                                 {"transfer_ppl", report.transfer_ppl},
                                 {"ppl", report.ppl},
                                 {"window_only_ppl", report.window_only_ppl},
                                 {"base_late_ce", report.base_late_ce},
                                 {"late_ce", report.late_ce},
                                 {"training_tokens", report.training_tokens},
                                 {"seconds", report.seconds},
                                 {"notes", report.notes}};
  const auto stage = [&](const char* name, const TrainResult& result, int64_t parameters) {
    if (result.steps.empty()) return;
    json[name] = {{"parameters", parameters},
                  {"steps", result.steps.size()},
                  {"first_loss", result.steps.front().loss},
                  {"last_loss", result.steps.back().loss},
                  {"mse_per_layer", result.steps.back().parts},
                  {"validations", result.validations},
                  {"seconds", result.seconds},
                  {"tokens_per_second", result.tokens_per_second}};
  };
  stage("transfer", report.transfer, report.map_parameters);
  stage("lora", report.lora, report.lora_parameters);
  fmt::print("{}\n", json.dump());
}

void run_linearize(const Options& options) {
  set_progress_quiet(options.json);
  LinearizeOptions wish = options.linearize;
  if (!options.type.empty()) wish.type = target_type(options.type);
  wish.window_kind = window_kind_from_name(options.window_kind);
  wish.lora.targets = lora_targets(options.targets);
  if (options.products != "auto") wish.float_products = options.products == "float";
  wish.measure_stages = !options.no_measure;
  for (TrainerOptions* stage : {&wish.transfer, &wish.lora_training}) {
    stage->sequences = options.sequences;
    stage->micro_sequences = options.micro;
    stage->row_length = options.length;
    stage->schedule.kind = schedule_from_name(options.schedule);
    stage->validate_every =
        std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(stage->steps) * options.validate_share));
  }
  if (!options.json) wish.say = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  Team team(options.threads);
  const LinearizeReport report = linearize(wish, team);
  if (options.json) return print_json(options, report);
  fmt::print(stderr, "wrote {} in {}\n", wish.output, duration_text(report.seconds));
}

void add_training_options(CLI::App& app, Options& options) {
  LinearizeOptions& l = options.linearize;
  l.transfer.schedule.learning_rate = 1e-2f;
  l.lora_training.schedule.learning_rate = 1e-3f;
  app.add_option("--transfer-steps", l.transfer.steps, "updates of attention transfer; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--lora-steps", l.lora_training.steps, "updates of LoRA; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--sequences", options.sequences, "rows of an update")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--micro", options.micro, "rows computed at once; fewer take less memory")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--length", options.length, "tokens of a row")->check(CLI::Range(16, 1 << 20))->capture_default_str();
  app.add_option("--transfer-lr", l.transfer.schedule.learning_rate, "learning rate of attention transfer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--lora-lr", l.lora_training.schedule.learning_rate, "learning rate of LoRA")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--schedule", options.schedule, "of the learning rates")
      ->check(CLI::IsMember({"cosine", "constant", "plateau"}))
      ->capture_default_str();
  app.add_option("--rank", l.lora.rank, "of LoRA")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--alpha", l.lora.alpha, "of LoRA; the correction is scaled by alpha / rank")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--lora-targets", options.targets, "projections, of q,k,v,o,gate,up,down")->capture_default_str();
  app.add_flag("--train-maps", l.joint, "train feature maps and window factors on with LoRA");
  app.add_option("--maps", l.initial_maps,
                 "start from the feature maps of this file (OUT.transfer.safetensors of an earlier run) instead of "
                 "attention transfer");
  app.add_option("--products", options.products,
                 "of frozen weights: float, int8 (quantized ones only, as in inference), or auto by the base's type")
      ->check(CLI::IsMember({"auto", "float", "int8"}))
      ->capture_default_str();
  app.add_option("--seed", l.seed, "of rows and initial weights")->capture_default_str();
}

}  // namespace

void add_linearize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  LinearizeOptions& l = options->linearize;
  app.description(
      "Replaces a model's softmax attentions by linear attention plus a small softmax window (LoLCATs): attention "
      "transfer\n"
      "trains feature maps to imitate the softmax attentions, LoRA repairs what is left; then the corrections are "
      "merged,\n"
      "the weights written in the wanted type, and the result is measured. The best weights by validation loss are "
      "kept,\n"
      "and those of each stage are saved beside the output once a minute (OUT.transfer.safetensors, "
      "OUT.lora.safetensors).");
  app.add_option("SRC", l.source, "softmax model: a Hugging Face folder or a GGUF file")->required();
  app.add_option("-o,--output", l.output, "GGUF file to write")->required();
  app.add_option("--data", l.data, "training text (UTF-8)")->required();
  app.add_option("--eval", l.evaluation,
                 "held-out text to measure on; without it the last part of the training text is held out");
  app.add_option("--eval-windows", l.evaluation_windows, "windows of 1024 tokens to measure on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--type", options->type,
                 "of the output's weights, as `margay quantize --help` lists them; the base's own by default")
      ->check(check_type_name);
  app.add_option("--feature-map", l.feature_map, "hedgehog, hedgehog_half, exp, exp_half, t2r or elu1")
      ->capture_default_str();
  app.add_option("--feature-dim", l.feature_dim, "columns of a feature map; 0: a head's elements")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--window", l.window, "tokens of the softmax window (terraced: block length)")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  app.add_option("--window-kind", options->window_kind, "terraced, sliding or none")
      ->check(CLI::IsMember({"terraced", "sliding", "none"}))
      ->capture_default_str();
  app.add_flag("--shared-key-maps", l.shared_key_maps, "one key map per key/value head: a smaller state");
  app.add_flag("--affine", l.affine, "weigh the linear terms by 1 - window factor");
  app.add_option("--keep-softmax", l.keep_softmax, "layers that stay softmax, by commas (from 0)")->delimiter(',');
  add_training_options(app, *options);
  app.add_flag("--no-measure", options->no_measure, "do not measure perplexities");
  add_threads(app, options->threads);
  add_json(app, options->json, "the report as one JSON object on standard output; no progress");
  app.footer(
      "Examples:\n"
      "  margay linearize llama-1b/ -o llama-1b-linear.gguf --data text.txt --type q8_0\n"
      "  margay linearize base.gguf -o linear.gguf --data text.txt --transfer-steps 40 --lora-steps 40 --sequences "
      "4\n");
  app.callback([options] { run_linearize(*options); });
}

}  // namespace margay
