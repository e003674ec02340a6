// margay_training_bench BASE.gguf [STEPS]: tokens a second of attention transfer and of LoRA on rows of 1024 random
// tokens, and where their time goes, op by op.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "models/model.h"
#include "train/lora.h"
#include "train/transfer.h"

namespace margay {
namespace {

std::vector<int32_t> random_tokens(int64_t count, int64_t vocabulary) {
  Random random(1);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(static_cast<uint64_t>(vocabulary)));
  return tokens;
}

void measure(const char* name, Trainer& trainer, const RowSource& rows, int64_t steps, int64_t step_tokens) {
  trainer.step(rows, 0);  // warm
  trainer.forward_backward().enable_profile();
  std::vector<double> times;
  for (int64_t s = 0; s < steps; ++s) {
    const auto start = std::chrono::steady_clock::now();
    trainer.step(rows, s + 1);
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size() / 2), times.end());
  fmt::print("{}: {:.0f} tokens/s (median of {} steps of {} tokens)\n", name,
             static_cast<double>(step_tokens) / times[times.size() / 2], steps, step_tokens);
  double total = 0;
  for (const auto& [op, seconds] : trainer.forward_backward().profile()) total += seconds;
  for (const auto& [op, seconds] : trainer.forward_backward().profile())
    if (seconds > 0.01 * total) fmt::print("  {:>5.1f} %  {}\n", 100 * seconds / total, op);
}

void bench(const char* path, int64_t steps) {
  const Model model(path);
  Team team(default_threads());
  LinearConfig linear;
  linear.layers.assign(static_cast<size_t>(model.config.layers), true);
  linear.feature_dim = model.config.head_dim;
  linear.key_map_heads = model.config.heads;
  ParameterSet maps, adapters;
  add_transfer_parameters(maps, model.config, linear, 0);
  WeightSet weights = model.weights;
  maps.put_into(weights);
  TrainerOptions options;
  options.steps = steps + 1;
  options.sequences = 2;
  const int64_t step_tokens = options.sequences * options.row_length;
  const RandomWindows rows(random_tokens(64 * options.row_length, model.config.vocabulary), options.row_length, 1);
  bool quantized = false;
  for (const TensorEntry& tensor : model.file.tensors()) quantized = quantized || type_info(tensor.dtype).quantized;

  Trainer transfer(transfer_model(model.config, linear, weights, !quantized), transfer_objective, maps, options, team);
  measure("attention transfer", transfer, rows, steps, step_tokens);
  const LoraOptions lora;
  add_lora_parameters(adapters, model.config, linear, weights, lora, 1);
  adapters.put_into(weights);
  options.schedule.learning_rate = 1e-3f;
  Trainer trainer(lora_model(model.config, linear, weights, lora, !quantized), next_token_objective, adapters, options,
                  team);
  measure("LoRA", trainer, rows, steps, step_tokens);
}

}  // namespace
}  // namespace margay

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: margay_training_bench BASE.gguf [STEPS]\n");
    return 2;
  }
  try {
    margay::bench(argv[1], argc > 2 ? std::max(1, std::atoi(argv[2])) : 10);
  } catch (const margay::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
