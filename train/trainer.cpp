#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/interrupt.h"
#include "base/progress.h"

namespace margay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

Trainer::Trainer(const RecordModel& record, const RecordObjective& objective, ParameterSet& parameters,
                 const TrainerOptions& options, Team& team)
    : parameters_(parameters), options_(options), row_(static_cast<size_t>(options.row_length)) {
  require(options.sequences % options.micro_sequences == 0, "{} sequences a step are no multiple of {} a pass",
          options.sequences, options.micro_sequences);
  model_ = record(options.micro_sequences, options.row_length);
  objective_ = objective(*model_);
  std::vector<Tensor> wrt;
  for (const auto& parameter : parameters.all()) wrt.push_back(model_->weight(parameter->name));
  const std::vector<Tensor> gradient = gradients(objective_.loss, wrt);
  std::vector<Tensor> outputs = objective_.parts;
  outputs.push_back(objective_.loss);
  const float share = static_cast<float>(options.micro_sequences) / static_cast<float>(options.sequences);
  for (size_t i = 0; i < wrt.size(); ++i) {
    const Parameter& parameter = *parameters.all()[i];
    const Tensor sum =
        model_->graph.weight(parameter.name + ".gradient", parameter.shape, DType::F32, parameter.gradient.data());
    outputs.push_back(accumulate(sum, gradient[i], share));
  }
  forward_backward_ = std::make_unique<Program>(model_->graph, outputs, team);

  validation_model_ = record(options.micro_sequences, options.row_length);
  validation_objective_ = objective(*validation_model_);
  outputs = validation_objective_.parts;
  outputs.push_back(validation_objective_.loss);
  forward_ = std::make_unique<Program>(validation_model_->graph, outputs, team);

  update_graph_ = std::make_unique<Graph>();
  hyper_ = update_graph_->input("hyper", make_shape({2}), DType::F32);
  outputs.clear();
  for (const auto& p : parameters.all()) {
    const auto weight = [&](const Buffer& memory) {
      return update_graph_->weight(p->name, p->shape, DType::F32, memory.data());
    };
    outputs.push_back(adamw(weight(p->value), weight(p->gradient), weight(p->m), weight(p->v), hyper_, options.adamw));
  }
  update_ = std::make_unique<Program>(*update_graph_, outputs, team);
}

StepResult Trainer::pass(Program& program, const BuiltModel& model, const Objective& objective, const RowSource& source,
                         int64_t step, int64_t first) {
  const int64_t length = options_.row_length;
  int32_t* tokens = program.data<int32_t>(model.tokens);
  int32_t* positions = program.data<int32_t>(model.positions);
  int32_t* targets = objective.targets ? program.data<int32_t>(objective.targets) : nullptr;
  for (int64_t b = 0; b < options_.micro_sequences; ++b) {
    source.fill(step, first + b, row_);
    for (int64_t t = 0; t < length; ++t) {
      const size_t i = static_cast<size_t>(t);
      tokens[b * length + t] = row_[i];
      positions[b * length + t] = static_cast<int32_t>(t);
      if (targets) targets[b * length + t] = t + 1 < length ? row_[i + 1] : -1;
    }
  }
  program.run();
  StepResult result;
  result.loss = static_cast<double>(*program.data<float>(objective.loss));
  for (const Tensor& part : objective.parts) result.parts.push_back(static_cast<double>(*program.data<float>(part)));
  return result;
}

StepResult Trainer::accumulate_gradients(const RowSource& source, int64_t step) {
  parameters_.zero_gradients();
  StepResult mean;
  const int64_t passes = options_.sequences / options_.micro_sequences;
  for (int64_t p = 0; p < passes; ++p) {
    const StepResult part = pass(*forward_backward_, *model_, objective_, source, step, p * options_.micro_sequences);
    mean.loss += part.loss / static_cast<double>(passes);
    mean.parts.resize(part.parts.size());
    for (size_t i = 0; i < part.parts.size(); ++i) mean.parts[i] += part.parts[i] / static_cast<double>(passes);
  }
  return mean;
}

void Trainer::update(int64_t step) {
  float* hyper = update_->data<float>(hyper_);
  hyper[0] = options_.schedule.rate(step, options_.steps);
  hyper[1] = static_cast<float>(step + 1);
  update_->run();
}

StepResult Trainer::step(const RowSource& source, int64_t step) {
  const StepResult result = accumulate_gradients(source, step);
  require(std::isfinite(result.loss), "step {}: the loss is {}: lower the learning rate", step, result.loss);
  update(step);
  return result;
}

double Trainer::validate(const RowSource& source, int64_t rows) {
  double sum = 0;
  const int64_t passes = (rows + options_.micro_sequences - 1) / options_.micro_sequences;
  for (int64_t p = 0; p < passes; ++p) {
    throw_if_interrupted();
    sum += pass(*forward_, *validation_model_, validation_objective_, source, 0, p * options_.micro_sequences).loss;
  }
  return sum / static_cast<double>(passes);
}

TrainResult Trainer::train(const std::string& what, const RowSource& source, const RowSource* validation) {
  TrainResult result;
  const bool validates = validation && options_.validation_rows > 0;
  std::vector<float> best;
  result.best_validation = 1e300;
  const auto check = [&](int64_t done) {
    const double loss = validate(*validation, options_.validation_rows);
    options_.schedule.validated(loss);
    result.validations.emplace_back(done, loss);
    if (loss >= result.best_validation) return;
    result.best_validation = loss;
    best = parameters_.snapshot();
  };
  const auto save = [&](int64_t done) {
    if (!options_.save_path.empty())
      parameters_.save(options_.save_path, {{"stage", what}, {"steps", fmt::format("{}", done)}});
  };

  const int64_t step_tokens = options_.sequences * options_.row_length;
  Progress progress(what, options_.steps * step_tokens, "tokens");
  Clock::time_point saved = Clock::now();
  for (int64_t s = 0; s < options_.steps; ++s) {
    if (interrupted()) {
      save(s);
      throw_if_interrupted();
    }
    const Clock::time_point start = Clock::now();
    result.steps.push_back(step(source, s));
    result.seconds += seconds_since(start);
    progress.note(fmt::format("loss {:.4f}", result.steps.back().loss));
    progress.advance(step_tokens);
    const bool last = s + 1 == options_.steps;
    if (validates && (last || (options_.validate_every > 0 && (s + 1) % options_.validate_every == 0))) check(s + 1);
    if (last || seconds_since(saved) > options_.save_seconds) {
      save(s + 1);
      saved = Clock::now();
    }
  }
  progress.finish();
  if (!best.empty()) {
    parameters_.restore(best);
    save(options_.steps);
  }
  result.tokens_per_second = static_cast<double>(options_.steps * step_tokens) / std::max(result.seconds, 1e-9);
  return result;
}

size_t Trainer::memory_bytes() const {
  return forward_backward_->arena_bytes() + forward_->arena_bytes() +
         static_cast<size_t>(parameters_.count()) * 4 * sizeof(float);
}

}  // namespace margay
