#include "base/threads.h"

#include <omp.h>
#include <sched.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "base/error.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MARGAY_TSAN
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define MARGAY_TSAN
#endif

namespace margay {
namespace {

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

void Barrier::wait() noexcept {
  const unsigned generation = generation_.load(std::memory_order_relaxed);
  if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    missing_.store(threads_, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    return;
  }
  for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins) {
    if (spins < 2000) {
      pause_cpu();
    } else {
      sched_yield();
    }
  }
}

int default_threads() {
  if (const char* wish = std::getenv("OMP_NUM_THREADS"); wish && std::atoi(wish) > 0) return std::atoi(wish);
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

Team::Team(int threads) : threads_(threads), barrier_(threads) {
  require(threads >= 1 && threads <= 1024, "{} threads: use 1 to 1024", threads);
}

void Team::run(const std::function<void(int thread)>& work) {
  if (threads_ == 1) {
    work(0);
    return;
  }
#if defined(MARGAY_TSAN)
  std::vector<std::thread> others;
  for (int i = 1; i < threads_; ++i) others.emplace_back([&work, i] { work(i); });
  work(0);
  for (std::thread& other : others) other.join();
#else
  omp_set_dynamic(0);  // exactly threads_ of them: the barrier counts on it
#pragma omp parallel num_threads(threads_)
  work(omp_get_thread_num());
#endif
}

}  // namespace margay
