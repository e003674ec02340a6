#include "convert/adapt.h"

#include <filesystem>

#include "base/error.h"
#include "convert/base_file.h"
#include "convert/export.h"
#include "convert/gguf_edit.h"

namespace margay {
namespace {

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// The files that are read and must not be written over.
std::vector<std::string> inputs(const AdaptOptions& options) {
  std::vector<std::string> files = options.lolcats.checkpoints;
  files.push_back(options.source);
  for (const LoraFile& lora : options.loras) files.push_back(lora.path);
  return files;
}

class Adapting {
 public:
  explicit Adapting(const AdaptOptions& options)
      : options_(options),
        base_(options.source, options.output, options.threads, options.tokenizer, options.say),
        file_(base_.path()),
        weights_(file_, read_model_config(file_)) {
    edit_.config = read_model_config(file_);
    edit_.linear = read_linear_config(file_, edit_.config);
    architecture_info(edit_.config.architecture);
  }

  ConvertReport run() {
    for (const LoraFile& lora : options_.loras) {
      adapters_.push_back(read_lora(lora.path, edit_.config, weights_));
      merge(adapters_.back(), lora.scale);
      recipe_ += fmt::format("{}LoRA {} (scale {})", recipe_.empty() ? "" : ", ", file_name(lora.path), lora.scale);
    }
    if (!options_.lolcats.checkpoints.empty()) linearize();
    set_types();
    const auto provenance = [&](const char* key, const std::string& value) {
      edit_.metadata.emplace_back(fmt::format("margay.provenance.{}", key), GgufValue::of(value));
    };
    if (!file_.has("margay.provenance.base")) provenance("base", file_name(options_.source));
    provenance("recipe", recipe_);
    ConvertReport report = write_model(options_.output, file_, edit_, options_.threads);
    if (options_.target) report.type = options_.target->type;
    report.notes.insert(report.notes.end(), checkpoint_.notes.begin(), checkpoint_.notes.end());
    return report;
  }

 private:
  // The tensor's place in the edit; at first the base's own.
  EditedTensor& edited(const std::string& name) {
    const WeightRef& weight = *weights_.find(name);
    return edit_.tensors.try_emplace(name, EditedTensor{weight, weight.dtype}).first->second;
  }

  void merge(const LoraAdapter& adapter, float scale) {
    for (const auto& [name, pair] : adapter.pairs)
      edited(name).merged.push_back({pair.a.data(), pair.b.data(), pair.rank, scale * pair.scale});
  }

  void linearize() {
    require(!edit_.linear.any(), "{}: is linearized already; a LoLCATs checkpoint goes on its softmax base",
            options_.source);
    checkpoint_ = read_lolcats(options_.lolcats, edit_.config, weights_);
    edit_.linear = checkpoint_.linear;
    for (const auto& [name, tensor] : checkpoint_.tensors) {
      WeightRef weight{{}, DType::F32, tensor.values.data()};
      weight.shape.rank = static_cast<int32_t>(tensor.shape.size());
      std::copy(tensor.shape.begin(), tensor.shape.end(), weight.shape.dim);
      edit_.tensors[name] = {weight, DType::F32};
    }
    for (const std::string& path : options_.lolcats.checkpoints)
      recipe_ += fmt::format("{}LoLCATs {}", recipe_.empty() ? "" : ", ", file_name(path));
    require(options_.keep_lora.empty() || checkpoint_.lora, "{}: holds no LoRA to keep",
            options_.lolcats.checkpoints.back());
    if (!checkpoint_.lora) return;
    if (options_.keep_lora.empty()) merge(*checkpoint_.lora, 1);
    else export_gguf_lora(*checkpoint_.lora, edit_.config, options_.keep_lora);
  }

  void set_types() {
    if (!options_.target) return;
    const TargetOptions& target = *options_.target;
    require(target.importance == nullptr,
            "{}: an importance matrix of the base does not fit what is merged into it; "
            "convert first, then `margay quantize --imatrix`",
            options_.output);
    const ModelFacts facts{file_.find("output.weight") == nullptr, edit_.config.layers,
                           edit_.config.heads / edit_.config.kv_heads};
    for (const TensorEntry& tensor : file_.tensors())
      edited(tensor.name).wanted = choose_type(tensor.name, tensor.shape, target.type, facts, target.overrides).type;
  }

  const AdaptOptions& options_;
  BaseFile base_;
  GgufFile file_;
  WeightSet weights_;
  ModelEdit edit_;
  std::vector<LoraAdapter> adapters_;
  LolcatsModel checkpoint_;
  std::string recipe_;
};

}  // namespace

ConvertReport convert_adapted(const AdaptOptions& options) {
  check_output(options.output, inputs(options));
  require(options.keep_lora != options.output, "{}: is named for two files", options.output);
  return Adapting(options).run();
}

}  // namespace margay
