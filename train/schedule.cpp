#include "train/schedule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace margay {

float Schedule::rate(int64_t step, int64_t steps) const {
  double factor = 1;
  if (kind == ScheduleKind::kCosine) {
    const double turn =
        std::cos(std::acos(-1.0) * static_cast<double>(step) / static_cast<double>(std::max<int64_t>(steps, 1)));
    factor = static_cast<double>(floor) + (1 - static_cast<double>(floor)) * (1 + turn) / 2;
  }
  if (step < warmup) factor *= static_cast<double>(step + 1) / static_cast<double>(warmup);
  const float rate = learning_rate * static_cast<float>(factor);
  return kind == ScheduleKind::kPlateau ? std::max(rate * scale_, std::min(minimum, rate)) : rate;
}

void Schedule::validated(double loss) {
  if (loss < best_) {
    best_ = loss;
    waiting_ = 0;
  } else if (++waiting_ > patience) {
    scale_ *= plateau_factor;
    waiting_ = 0;
  }
}

ScheduleKind schedule_from_name(const std::string& name) {
  if (name == "constant") return ScheduleKind::kConstant;
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "plateau") return ScheduleKind::kPlateau;
  fail("unknown schedule '{}'; there are cosine, constant and plateau", name);
}

}  // namespace margay
