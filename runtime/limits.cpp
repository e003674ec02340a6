#include "runtime/limits.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "runtime/peaks.h"

namespace margay {
namespace peaks {
#define MARGAY_PEAKS(id, isa) \
  namespace isa {             \
  extern const Peaks table;   \
  }
MARGAY_ISAS(MARGAY_PEAKS)
#undef MARGAY_PEAKS
}  // namespace peaks

namespace {

const Peaks& table_of(Isa isa) {
  switch (isa) {
#define MARGAY_CASE(id, isa) \
  case Isa::id:              \
    return peaks::isa::table;
    MARGAY_ISAS(MARGAY_CASE)
#undef MARGAY_CASE
  }
  fail("there are no peaks for instruction set {}", static_cast<int>(isa));
}

// Times a second that `work` could be done at its fastest.
double best_rate(Team& team, const std::function<void(int)>& work) {
  double best = 1e30;
  for (int i = 0; i < 6; ++i) {
    const auto start = std::chrono::steady_clock::now();
    team.run(work);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return 1 / best;
}

}  // namespace

Limits measure_limits(int threads, Isa isa) {
  const Peaks& loops = table_of(isa);
  Team team(threads);
  const double all = threads;
  std::vector<float> sink(static_cast<size_t>(threads) * 16);
  const auto keep = [&](int thread, float value) { sink[static_cast<size_t>(thread) * 16] = value; };

  Limits limits;
  // More than caches hold, in each thread's own part.
  const int64_t floats = (int64_t{512} << 20) / 4 / threads / 1024 * 1024;
  const Buffer memory(static_cast<size_t>(floats * threads) * 4);  // huge pages where the system has them
  float* const data = memory.as<float>();
  team.run([&](int t) { std::fill_n(data + t * floats, floats, 1.f); });
  limits.read = best_rate(team, [&](int t) { keep(t, loops.read(data + t * floats, floats)); }) *
                static_cast<double>(floats) * 4 * all;
  constexpr int64_t kRounds = 2'000'000;
  limits.fma =
      best_rate(team, [&](int t) { keep(t, loops.fma(kRounds, 0.5f, 0.25f)); }) * kRounds * loops.fma_operations * all;
  limits.int8 = best_rate(team, [&](int t) { keep(t, static_cast<float>(loops.int8(kRounds, 0x01020304))); }) *
                kRounds * loops.int8_operations * all;
  return limits;
}

}  // namespace margay
