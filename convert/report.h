// What linearizing cost and gained: models side by side, quality, speed and memory.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/threads.h"

namespace margay {

struct ReportOptions {
  std::vector<std::string> models;  // GGUF files; the first is what the others are compared with
  std::string text;                 // held-out text
  int64_t windows = 32;             // of the plain protocol, 1024 tokens each
  std::vector<int64_t> depths = {0, 8192};
  std::function<void(const std::string&)> say = [](const std::string&) {};  // what is being measured
};

struct ReportRow {
  std::string name;              // the file, or the file with "window branch only"
  double ppl = 0, relative = 0;  // perplexity, and over the first row's
  int64_t weight_bytes = 0;
  std::vector<double> decode_rate;   // tokens a second at each depth; empty where speed says nothing new
  std::vector<int64_t> state_bytes;  // KV cache or state at each depth
};

// A row a model, and for linearized ones a row with the linear terms dropped. Throws Error, and Interrupted on Ctrl-C.
std::vector<ReportRow> measure_report(const ReportOptions& options, Team& team);

}  // namespace margay
