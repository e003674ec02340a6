// Stage 1, attention transfer: feature maps learn to imitate their softmax teacher, each layer on true inputs.
#pragma once
#include "train/trainer.h"

namespace margay {

// Adds the parameters of every linearized layer: blk.N.attn_fmap_{q,k}.weight [H or HM, F, D] (.bias [H] where the map
// has one) and blk.N.attn_window_factor [H] (logit; not without a window), initialised as the map's row says (the
// identity in Hugging Face's order of a head's elements) and window factor sigmoid(-2.197) = 0.1.
void add_transfer_parameters(ParameterSet& parameters, const ModelConfig& config, const LinearConfig& linear,
                             uint64_t seed);

// Records the model with teacher and student side by side.
RecordModel transfer_model(const ModelConfig& config, const LinearConfig& linear, const WeightSet& weights,
                           bool float_products);

// 1000 x the mean over linearized layers of the mean squared error of per-head outputs; parts: each layer's error.
Objective transfer_objective(BuiltModel& model);

}  // namespace margay
