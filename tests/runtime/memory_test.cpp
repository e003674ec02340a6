// Decoding allocates nothing, and a linearized model's memory does not grow with the text.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "runtime/sampler.h"
#include "runtime/session.h"
#include "tests/runtime/tiny_model.h"

#if !defined(MARGAY_SANITIZED)
namespace {
std::atomic<long> allocations{0};

void* counted(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(size_t bytes) { return counted(bytes); }
void* operator new[](size_t bytes) { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace margay {
namespace {

int64_t resident_bytes() {
  long total = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (!file) return 0;
  const int read = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

TEST(Memory, DecodingAllocatesNothing) {
  for (const test::Variant& variant : test::variants()) {
    const std::string path = test::tiny_model(variant);
    const Model model(path);
    Team team(2);
    SessionOptions options;
    options.sequences = 2;
    Session session(model, team, options);
    SamplerOptions sampling{.temperature = 1, .top_k = 0, .top_p = 0.9f, .min_p = 0.01f, .repeat_penalty = 1.1f};
    Sampler sampler(sampling);
    int32_t next[2] = {1, 2};
    const auto step = [&] {
      session.feed(next);
      for (int64_t s = 0; s < 2; ++s) sampler.accept(next[s] = sampler.sample(session.logits(s)));
    };
    for (int i = 0; i < 5; ++i) step();
    const long before = allocations.load();
    for (int i = 0; i < 200; ++i) step();
    EXPECT_EQ(allocations.load() - before, 0) << variant.name;
  }
}

TEST(Memory, LinearStateDoesNotGrow) {
  const std::string path = test::tiny_model(test::variants()[1]);
  const Model model(path);
  Team team(1);
  Session session(model, team);
  const std::vector<int32_t> tokens = test::random_tokens(1000, 5);
  for (const int32_t id : tokens) session.feed(id);
  const int64_t before = resident_bytes(), state = session.state_bytes();
  for (int round = 0; round < 7; ++round)
    for (const int32_t id : tokens) session.feed(id);
  EXPECT_LT(resident_bytes() - before, 1 << 20);
  EXPECT_EQ(session.state_bytes(), state);
  EXPECT_EQ(session.position(), 8000);
}

}  // namespace
}  // namespace margay
#endif
