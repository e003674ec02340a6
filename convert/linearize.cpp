#include "convert/linearize.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/interrupt.h"
#include "convert/base_file.h"
#include "convert/gguf_edit.h"
#include "convert/target_type.h"
#include "models/model.h"
#include "train/evaluate.h"
#include "train/transfer.h"

namespace margay {
namespace {

constexpr int64_t kWindow = 1024;       // tokens of an evaluation row, as in the plain protocol
constexpr double kHeldOutShare = 0.05;  // of the training text, where no evaluation text is given

// Everything that the stages share.
class Pipeline {
 public:
  Pipeline(const LinearizeOptions& options, Team& team);
  LinearizeReport run();

 private:
  void open_base();
  void configure();
  void read_text();
  void transfer();
  void adapt();
  void write();
  void measure(const char* what, AttentionMode attention, bool window_only, double& ppl, double& late);
  TrainerOptions stage(const TrainerOptions& base, const char* name) const;

  LinearizeOptions options_;
  Team& team_;
  LinearizeReport report_;
  std::unique_ptr<BaseFile> base_file_;
  std::unique_ptr<Model> base_;
  LinearConfig linear_;
  WeightSet weights_;  // the base's with the parameters on top
  ParameterSet maps_, adapters_;
  std::unique_ptr<RandomWindows> rows_;
  std::unique_ptr<ConsecutiveRows> validation_, evaluation_;
  int64_t evaluation_rows_ = 0;
  bool float_products_ = true;
};

Pipeline::Pipeline(const LinearizeOptions& options, Team& team) : options_(options), team_(team) {}

void Pipeline::open_base() {
  base_file_ = std::make_unique<BaseFile>(options_.source, options_.output, team_.size(), "", options_.say);
  base_ = std::make_unique<Model>(base_file_->path());
  require(!base_->linear.any(), "{} is linearized already; start from its softmax base", options_.source);
}

void Pipeline::configure() {
  const ModelConfig& config = base_->config;
  linear_.layers.assign(static_cast<size_t>(config.layers), true);
  for (const int64_t layer : options_.keep_softmax) {
    require(layer >= 0 && layer < config.layers, "--keep-softmax {}: the model has layers 0 to {}", layer,
            config.layers - 1);
    linear_.layers[static_cast<size_t>(layer)] = false;
  }
  require(linear_.any(), "--keep-softmax keeps every layer: nothing to linearize");
  linear_.feature_map = options_.feature_map;
  linear_.feature_dim = options_.feature_dim > 0 ? options_.feature_dim : config.head_dim;
  linear_.key_map_heads = options_.shared_key_maps ? config.kv_heads : config.heads;
  linear_.window = options_.window;
  linear_.window_kind = options_.window_kind;
  linear_.affine = options_.affine;
  add_transfer_parameters(maps_, config, linear_, options_.seed);
  weights_ = base_->weights;
  maps_.put_into(weights_);
  report_.map_parameters = maps_.count();

  const TensorEntry* quantized = nullptr;
  for (const TensorEntry& tensor : base_->file.tensors())
    if (type_info(tensor.dtype).quantized) quantized = &tensor;
  float_products_ = options_.float_products.value_or(quantized == nullptr);
  if (!quantized) return;
  report_.notes.push_back(
      fmt::format("the base is quantized already ({}): LoRA is merged into its dequantized weights; start from F16 or "
                  "BF16 for the best result",
                  type_name(quantized->dtype)));
  options_.say("note: " + report_.notes.back());
}

void Pipeline::read_text() {
  std::vector<int32_t> tokens = tokenize_file(base_->tokenizer, options_.data), evaluation;
  const auto cut_tail = [&](int64_t count) {
    std::vector<int32_t> tail(tokens.end() - count, tokens.end());
    tokens.resize(tokens.size() - static_cast<size_t>(count));
    return tail;
  };
  const auto rows_of_share = [&](double share, int64_t most) {
    const int64_t all = static_cast<int64_t>(tokens.size()) / kWindow;
    require(all >= 4, "{}: {} tokens of text; linearizing needs {} at least", options_.data, tokens.size(),
            4 * kWindow);
    return std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(all) * share), 1, most);
  };
  if (options_.evaluation.empty()) {
    evaluation = cut_tail(rows_of_share(kHeldOutShare, options_.evaluation_windows) * kWindow);
  } else {
    evaluation = tokenize_file(base_->tokenizer, options_.evaluation);
  }
  evaluation_ = std::make_unique<ConsecutiveRows>(std::move(evaluation), kWindow, 1);
  evaluation_rows_ = std::min(options_.evaluation_windows, evaluation_->rows());
  // Validation picks the best weights, so it must not be the text that the result is measured on.
  const int64_t validation_rows = rows_of_share(kHeldOutShare, 16);
  validation_ = std::make_unique<ConsecutiveRows>(cut_tail(validation_rows * kWindow), options_.transfer.row_length,
                                                  options_.transfer.micro_sequences);
  options_.transfer.validation_rows = options_.lora_training.validation_rows = validation_->rows();
  report_.training_tokens = static_cast<int64_t>(tokens.size());
  rows_ = std::make_unique<RandomWindows>(std::move(tokens), options_.transfer.row_length, options_.seed + 5);
}

TrainerOptions Pipeline::stage(const TrainerOptions& base, const char* name) const {
  TrainerOptions result = base;
  result.save_path = fmt::format("{}.{}.safetensors", options_.output, name);
  return result;
}

void Pipeline::transfer() {
  if (!options_.initial_maps.empty()) {
    maps_.load(options_.initial_maps);
    options_.say("feature maps from " + options_.initial_maps);
    return;
  }
  const TrainerOptions training = stage(options_.transfer, "transfer");
  Trainer trainer(transfer_model(base_->config, linear_, weights_, float_products_), transfer_objective, maps_,
                  training, team_);
  options_.say(
      fmt::format("attention transfer: {} parameters, {} steps of {} x {} tokens, {:.0f} MiB of working memory",
                  maps_.count(), training.steps, training.sequences, training.row_length,
                  static_cast<double>(trainer.memory_bytes()) / (1 << 20)));
  try {
    report_.transfer = trainer.train("attention transfer", *rows_, validation_.get());
  } catch (const Interrupted&) {
    options_.say(
        fmt::format("the feature maps so far are in {0}; --maps {0} goes on from them with LoRA", training.save_path));
    throw;
  }
  std::string layers;
  for (const double part : report_.transfer.steps.back().parts) layers += fmt::format(" {:.3f}", 1000 * part);
  options_.say(fmt::format("attention transfer: {:.0f} tokens/s; 1000 x MSE of each layer:{}",
                           report_.transfer.tokens_per_second, layers));
}

void Pipeline::adapt() {
  add_lora_parameters(adapters_, base_->config, linear_, weights_, options_.lora, options_.seed + 1);
  report_.lora_parameters = adapters_.count();
  adapters_.put_into(weights_);
  const TrainerOptions training = stage(options_.lora_training, "lora");
  const RecordModel record = lora_model(base_->config, linear_, weights_, options_.lora, float_products_);
  // Joint training trains both sets as one; the maps' memory is shared by name, so they are copied over and back.
  ParameterSet together;
  ParameterSet* trained = &adapters_;
  if (options_.joint) {
    for (const ParameterSet* set : {&adapters_, &maps_})
      for (const auto& p : set->all()) std::copy_n(p->values(), p->count(), together.add(p->name, p->shape).values());
    together.put_into(weights_);
    trained = &together;
  }
  Trainer trainer(record, next_token_objective, *trained, training, team_);
  options_.say(fmt::format("LoRA: rank {}, {} parameters, {} steps of {} x {} tokens, {:.0f} MiB of working memory",
                           options_.lora.rank, trained->count(), training.steps, training.sequences,
                           training.row_length, static_cast<double>(trainer.memory_bytes()) / (1 << 20)));
  report_.lora = trainer.train("LoRA", *rows_, validation_.get());
  options_.say(fmt::format("LoRA: {:.0f} tokens/s", report_.lora.tokens_per_second));
  if (!options_.joint) return;
  for (const ParameterSet* set : {&adapters_, &maps_})
    for (const auto& p : set->all()) std::copy_n(together.get(p->name).values(), p->count(), p->values());
  adapters_.put_into(weights_);
  maps_.put_into(weights_);
}

void Pipeline::write() {
  ModelEdit edit;
  edit.config = base_->config;
  edit.linear = linear_;
  if (options_.lora_training.steps > 0) {
    for (int64_t l = 0; l < base_->config.layers; ++l)
      for (const std::string& target : options_.lora.targets) {
        const std::string name = block_name(l, (target + ".weight").c_str());
        const Parameter* a = adapters_.find(name + ".lora_a");
        if (!a) continue;
        const WeightRef& weight = base_->weights.get(name, make_shape({-1, -1}));
        const LowRank low{a->values(), adapters_.get(name + ".lora_b").values(), options_.lora.rank,
                          options_.lora.scale()};
        edit.tensors[name] = {weight, weight.dtype, {low}};
      }
  }
  for (const auto& map : maps_.all()) edit.tensors[map->name] = {{map->shape, DType::F32, map->values()}, DType::F32};
  const auto provenance = [&](const char* key, const std::string& value) {
    edit.metadata.emplace_back(fmt::format("margay.provenance.{}", key), GgufValue::of(value));
  };
  provenance("base", std::filesystem::path(options_.source).filename().string());
  provenance("data", std::filesystem::path(options_.data).filename().string());
  provenance("recipe",
             fmt::format("attention transfer {} steps, LoRA {} steps of {} x {} tokens, rank {}, alpha {}, seed {}",
                         options_.transfer.steps, options_.lora_training.steps, options_.lora_training.sequences,
                         options_.lora_training.row_length, options_.lora.rank, options_.lora.alpha, options_.seed));
  if (report_.base_ppl > 0)
    provenance(
        "quality",
        fmt::format("perplexity ({}) base {:.3f}, after transfer {:.3f}, linearized {:.3f}, window branch only {:.3f}",
                    report_.protocol, report_.base_ppl, report_.transfer_ppl, report_.ppl, report_.window_only_ppl));
  if (options_.type) {
    edit.metadata.emplace_back("general.file_type", GgufValue::of(options_.type->file_type));
    // Another type than the base's: every weight of the base is converted once, the merged ones from float32.
    const ModelFacts facts{base_->file.find("output.weight") == nullptr, base_->config.layers,
                           base_->config.heads / base_->config.kv_heads};
    for (const auto& [name, weight] : base_->weights.all()) {
      const std::vector<int64_t> shape(weight.shape.dim, weight.shape.dim + weight.shape.rank);
      const DType type = choose_type(name, shape, *options_.type, facts).type;
      edit.tensors.try_emplace(name, EditedTensor{weight, type}).first->second.wanted = type;
    }
  }
  write_model(options_.output, base_->file, edit, team_.size());
}

void Pipeline::measure(const char* what, AttentionMode attention, bool window_only, double& ppl, double& late) {
  const bool with_lora = adapters_.count() > 0 && attention == AttentionMode::kConfigured;
  const RecordModel record = plain_model(base_->config, linear_, weights_, attention, float_products_, window_only,
                                         LoraScale{with_lora ? options_.lora.scale() : 0});
  const CrossEntropyResult result =
      mean_cross_entropy(fmt::format("measuring {}", what), record, *evaluation_, evaluation_rows_, kWindow, team_);
  ppl = result.perplexity();
  late = result.late;
  options_.say(fmt::format("perplexity, {}: {:.3f}{}", what, ppl,
                           report_.base_ppl > 0 && ppl != report_.base_ppl
                               ? fmt::format(" ({:.3f} x the base's)", ppl / report_.base_ppl)
                               : ""));
}

LinearizeReport Pipeline::run() {
  const auto start = std::chrono::steady_clock::now();
  check_output(options_.output, {options_.source, options_.data});
  open_base();
  configure();
  read_text();
  report_.protocol = fmt::format("plain, {} windows of {}", evaluation_rows_, kWindow);
  double late = 0;
  if (options_.measure_stages) {
    measure("softmax base", AttentionMode::kSoftmax, false, report_.base_ppl, report_.base_late_ce);
    measure("attention swapped", AttentionMode::kConfigured, false, report_.swap_ppl, late);
  }
  if (options_.transfer.steps > 0) {
    transfer();
    if (options_.measure_stages)
      measure("after attention transfer", AttentionMode::kConfigured, false, report_.transfer_ppl, late);
  }
  if (options_.lora_training.steps > 0) adapt();
  if (options_.measure_stages) {
    measure("linearized", AttentionMode::kConfigured, false, report_.ppl, report_.late_ce);
    if (linear_.window_kind != WindowKind::kNone)
      measure("window branch only", AttentionMode::kConfigured, true, report_.window_only_ppl, late);
  }
  write();
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report_;
}

}  // namespace

LinearizeReport linearize(const LinearizeOptions& options, Team& team) { return Pipeline(options, team).run(); }

}  // namespace margay
