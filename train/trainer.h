// One stage of training: a loss on a recorded model, its gradients, AdamW; two programs, planned once.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/build.h"
#include "ops/program.h"
#include "train/dataset.h"
#include "train/parameters.h"
#include "train/schedule.h"

namespace margay {

struct TrainerOptions {
  int64_t steps = 400;
  int64_t sequences = 8;        // rows of a step
  int64_t micro_sequences = 1;  // rows of a pass; gradients of a step's passes are summed
  int64_t row_length = 1024;    // tokens
  Schedule schedule;
  AdamWParams adamw{0.9f, 0.999f, 1e-8f, 0.0f};
  int64_t validate_every = 0;   // steps; 0: only at the end
  int64_t validation_rows = 0;  // of the validation source; 0: none
  std::string save_path;        // parameters, saved every save_seconds and at the end; empty: nowhere
  double save_seconds = 60;
};

struct StepResult {
  double loss = 0;
  std::vector<double> parts;  // of the objective: MSE of each layer
};

struct TrainResult {
  std::vector<StepResult> steps;
  std::vector<std::pair<int64_t, double>> validations;  // (steps done, loss)
  double best_validation = 0;                           // of the weights kept; meaningless without validation
  double seconds = 0, tokens_per_second = 0;            // of the steps, validation left out
};

// What a stage minimises: records it on the model. The loss is the mean over the rows of a pass.
struct Objective {
  Tensor loss;                // [1]
  Tensor targets;             // input [B * T] I32, the next token of each, -1 at a row's end; none when not needed
  std::vector<Tensor> parts;  // [1] each
};
using RecordObjective = std::function<Objective(BuiltModel& model)>;
using RecordModel = std::function<std::unique_ptr<BuiltModel>(int64_t sequences, int64_t tokens)>;

class Trainer {
 public:
  // Records and plans everything; `parameters` must be part of the weights that `record` builds from.
  Trainer(const RecordModel& record, const RecordObjective& objective, ParameterSet& parameters,
          const TrainerOptions& options, Team& team);

  // One update from the rows of `source`; the losses are those before it.
  StepResult step(const RowSource& source, int64_t step);
  // Loss and gradients of a step's rows without an update.
  StepResult accumulate_gradients(const RowSource& source, int64_t step);
  // Mean loss over `rows` rows of `source`.
  double validate(const RowSource& source, int64_t rows);
  // All steps with validation and best weights; a progress line unless quiet. Stops with Interrupted on Ctrl-C, after
  // saving.
  TrainResult train(const std::string& what, const RowSource& source, const RowSource* validation);

  size_t memory_bytes() const;  // arenas and parameters
  Program& forward_backward() { return *forward_backward_; }

 private:
  StepResult pass(Program& program, const BuiltModel& model, const Objective& objective, const RowSource& source,
                  int64_t step, int64_t first);
  void update(int64_t step);

  ParameterSet& parameters_;
  TrainerOptions options_;
  std::unique_ptr<BuiltModel> model_, validation_model_;
  Objective objective_, validation_objective_;
  std::unique_ptr<Graph> update_graph_;
  Tensor hyper_;
  std::unique_ptr<Program> forward_backward_, forward_, update_;
  std::vector<int32_t> row_;
};

}  // namespace margay
