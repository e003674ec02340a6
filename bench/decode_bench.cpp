// margay_decode_bench MODEL.gguf [TOKENS]: decodes TOKENS (65536) tokens greedily in one sequence and prints, for each
// thousand, the median time of a token, and resident memory: both must stay flat for a linearized model.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "runtime/session.h"

namespace margay {
namespace {

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  long total = 0, resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void decode(const char* path, int64_t tokens) {
  const Model model(path);
  Team team(default_threads());
  SessionOptions options;
  options.capacity = model.linear.any() ? 0 : tokens + 1;
  Session session(model, team, options);
  std::vector<double> times;
  times.reserve(1000);
  int32_t token = model.tokenizer.bos().value_or(0);
  fmt::print("{}: {} tokens, {} threads\n   tokens   us/token   resident MiB\n", path, tokens, team.size());
  for (int64_t n = 1; n <= tokens; ++n) {
    const auto start = std::chrono::steady_clock::now();
    session.feed(token);
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    // Any token will do: a walk through the vocabulary keeps the embedding rows as cold as text does.
    token = static_cast<int32_t>((static_cast<int64_t>(token) * 31 + n) % model.config.vocabulary);
    if (n % 1000 != 0 && n != tokens) continue;
    std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size() / 2), times.end());
    if (n == 1000 || n % 8000 == 0 || n == tokens)
      fmt::print("{:>9}  {:>9.1f}  {:>13.2f}\n", n, times[times.size() / 2] * 1e6, resident_mib());
    times.clear();
  }
}

}  // namespace
}  // namespace margay

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: margay_decode_bench MODEL.gguf [TOKENS]\n");
    return 2;
  }
  try {
    margay::decode(argv[1], argc > 2 ? std::atoll(argv[2]) : 65536);
  } catch (const margay::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
