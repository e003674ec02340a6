#include "bench/limits.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "bench/peaks.h"

namespace margay {
namespace bench {
#define MARGAY_PEAKS(isa)   \
  namespace isa {           \
  extern const Peaks peaks; \
  }
MARGAY_PEAKS(generic)
#ifdef MARGAY_HAS_avx2
MARGAY_PEAKS(avx2)
MARGAY_PEAKS(avx512)
MARGAY_PEAKS(avx512vnni)
#endif
#undef MARGAY_PEAKS
}  // namespace bench

namespace {

const Peaks& peaks_of(Isa isa) {
#ifdef MARGAY_HAS_avx2
  if (isa == Isa::kAvx2) return bench::avx2::peaks;
  if (isa == Isa::kAvx512) return bench::avx512::peaks;
  if (isa == Isa::kAvx512Vnni) return bench::avx512vnni::peaks;
#endif
  require(isa == Isa::kGeneric, "this build has no peaks for {}", isa_name(isa));
  return bench::generic::peaks;
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
  const Peaks& peaks = peaks_of(isa);
  Team team(threads);
  const double all = threads;
  std::vector<float> sink(static_cast<size_t>(threads) * 16);
  const auto keep = [&](int thread, float value) { sink[static_cast<size_t>(thread) * 16] = value; };

  Limits limits;
  // More than caches hold, in each thread's own part.
  const int64_t floats = (int64_t{512} << 20) / 4 / threads / 1024 * 1024;
  std::vector<float> memory(static_cast<size_t>(floats * threads), 1.f);
  limits.read = best_rate(team, [&](int t) { keep(t, peaks.read(memory.data() + t * floats, floats)); }) *
                static_cast<double>(floats) * 4 * all;
  constexpr int64_t kRounds = 2'000'000;
  limits.fma =
      best_rate(team, [&](int t) { keep(t, peaks.fma(kRounds, 0.5f, 0.25f)); }) * kRounds * peaks.fma_operations * all;
  limits.int8 = limits.fma;
  if (peaks.int8)
    limits.int8 = best_rate(team, [&](int t) { keep(t, static_cast<float>(peaks.int8(kRounds, 0x01020304))); }) *
                  kRounds * peaks.int8_operations * all;
  return limits;
}

}  // namespace margay
