// Learning rates over a stage's steps.
#pragma once
#include <cstdint>
#include <string>

namespace margay {

enum class ScheduleKind { kConstant, kCosine, kPlateau };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  float learning_rate = 1e-2f;
  int64_t warmup = 0;           // steps of linear rise
  float floor = 0.05f;          // cosine ends at this fraction
  float plateau_factor = 0.1f;  // plateau: multiplied by this after `patience` validations without improvement
  int64_t patience = 10;
  float minimum = 1e-5f;  // plateau goes no lower

  // Rate of step `step` (from 0) of `steps`.
  float rate(int64_t step, int64_t steps) const;
  // Tells a plateau schedule a validation loss; others ignore it.
  void validated(double loss);

 private:
  double best_ = 1e300;
  int64_t waiting_ = 0;
  float scale_ = 1;
};

ScheduleKind schedule_from_name(const std::string& name);  // constant, cosine, plateau; throws Error

}  // namespace margay
