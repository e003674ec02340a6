// One team of threads and its own barrier. A run enters the team once; inside it only barriers separate the steps.
#pragma once
#include <atomic>
#include <functional>

namespace margay {

// All `threads` wait for each other. Spins some 2000 PAUSEs, then yields: an OpenMP barrier was seen to stall for
// milliseconds on a loaded machine, and one that spins for ever steals the core that the last thread needs.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads), missing_(threads) {}
  void wait() noexcept;

 private:
  const int threads_;
  alignas(64) std::atomic<int> missing_;
  alignas(64) std::atomic<unsigned> generation_{0};
};

// Number of threads to use when the user does not say: OMP_NUM_THREADS, else the cores that this process may use.
int default_threads();

class Team {
 public:
  explicit Team(int threads);  // at least 1
  int size() const { return threads_; }
  Barrier& barrier() { return barrier_; }
  // Runs work(0) ... work(size - 1) at the same time, work(0) on the caller, and returns when all have. Made by OpenMP,
  // so that OMP_PROC_BIND and friends work; by std::thread under the thread sanitizer, which cannot see into libomp.
  void run(const std::function<void(int thread)>& work);

 private:
  int threads_;
  Barrier barrier_;
};

}  // namespace margay
