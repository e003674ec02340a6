// margay export: models and adapters in other programs' forms.
#include "convert/export.h"

#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"

namespace margay {
namespace {

struct Options {
  std::string model, out;
  std::vector<std::string> loras;
  bool lolcats = false, peft = false, gguf_lora = false, huggingface = false;
};

LoraAdapter one_adapter(const Options& options, const GgufFile& model, const ModelConfig& config) {
  const std::vector<LoraFile> files = lora_files(options.loras);
  require(files.size() == 1 && files[0].scale == 1, "name the one adapter to export with --lora FILE");
  return read_lora(files[0].path, config, WeightSet(model, config));
}

void run(const Options& options) {
  const GgufFile model(options.model);
  if (options.lolcats) return export_lolcats(model, lora_files(options.loras), options.out);
  if (options.huggingface) {
    require(options.loras.empty(), "--huggingface exports the model; `margay convert --lora` merges an adapter first");
    return export_huggingface(model, options.out);
  }
  const ModelConfig config = read_model_config(model);
  const LoraAdapter adapter = one_adapter(options, model, config);
  if (options.peft) export_peft(adapter, config, options.out);
  else export_gguf_lora(adapter, config, options.out);
}

}  // namespace

void add_export(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Writes what a GGUF model holds in another program's form. Read again by `margay convert` or --lora, each gives "
      "the\n"
      "same bits. The adapters of --peft and --gguf-lora are those of --lora, for which MODEL is the base.");
  add_model(app, options->model);
  CLI::Option_group& forms = *app.add_option_group("form");
  forms.add_flag("--lolcats", options->lolcats,
                 "feature maps, window factors and the LoRA of --lora under the keys of the LoLCATs reference: "
                 "safetensors");
  forms.add_flag("--peft", options->peft, "the adapter as a PEFT folder");
  forms.add_flag("--gguf-lora", options->gguf_lora, "the adapter as a GGUF adapter");
  forms.add_flag(
      "--huggingface", options->huggingface,
      "a Hugging Face folder; quantized weights become float32, feature maps go to lolcats.safetensors in it");
  forms.require_option(1);
  add_lora(app, options->loras);
  app.add_option("-o,--output", options->out, "file or folder to write")->required()->type_name("OUT");
  app.footer(
      "Example:\n"
      "  margay export linear.gguf --lolcats -o maps.safetensors\n"
      "  margay export base.gguf --lora adapter.gguf --peft -o adapter\n"
      "  margay export linear.gguf --huggingface -o folder\n"
      "  margay convert folder --lolcats folder/lolcats.safetensors -o linear.gguf\n");
  app.callback([options] { run(*options); });
}

}  // namespace margay
