// margay report: what linearizing cost and gained.
#include "convert/report.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"

namespace margay {
namespace {

struct Options {
  ReportOptions report;
  int threads = 1;
  bool json = false;
};

std::string bytes_text(int64_t bytes) { return fmt::format("{:.2f} MiB", static_cast<double>(bytes) / (1 << 20)); }

void print_json(const ReportOptions& options, const std::vector<ReportRow>& rows) {
  for (const ReportRow& row : rows) {
    nlohmann::ordered_json json = {
        {"name", row.name}, {"ppl", row.ppl}, {"relative_ppl", row.relative}, {"weight_bytes", row.weight_bytes}};
    for (size_t i = 0; i < row.decode_rate.size(); ++i)
      json["depths"].push_back({{"depth", options.depths[i]},
                                {"tokens_per_second", row.decode_rate[i]},
                                {"state_bytes", row.state_bytes[i]}});
    fmt::print("{}\n", json.dump());
  }
}

void print_table(const ReportOptions& options, const std::vector<ReportRow>& rows) {
  size_t width = 5;
  for (const ReportRow& row : rows) width = std::max(width, row.name.size());
  fmt::print("{:<{}}  {:>8}  {:>7}  {:>10}", "model", width, "ppl", "x base", "weights");
  for (const int64_t depth : options.depths)
    fmt::print("  {:>12}  {:>13}", fmt::format("t/s @{}", depth), fmt::format("state @{}", depth));
  fmt::print("\n");
  for (const ReportRow& row : rows) {
    fmt::print("{:<{}}  {:>8.3f}  {:>7.3f}  {:>10}", row.name, width, row.ppl, row.relative,
               bytes_text(row.weight_bytes));
    for (size_t i = 0; i < row.decode_rate.size(); ++i)
      fmt::print("  {:>12.1f}  {:>13}", row.decode_rate[i], bytes_text(row.state_bytes[i]));
    fmt::print("\n");
  }
}

void report(const Options& options) {
  set_progress_quiet(options.json);
  ReportOptions wish = options.report;
  if (!options.json) wish.say = [](const std::string& line) { fmt::print(stderr, "{} ...\n", line); };
  Team team(options.threads);
  const std::vector<ReportRow> rows = measure_report(wish, team);
  options.json ? print_json(wish, rows) : print_table(wish, rows);
}

}  // namespace

void add_report(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Puts models side by side: perplexity on a held-out text (protocol plain: windows of 1024 tokens, no BOS, every\n"
      "target), decoding speed at several depths of text, and the memory of one sequence there (KV cache of softmax\n"
      "layers, state of linearized ones). A linearized model gets a second row with its linear terms dropped, which "
      "tells\n"
      "what they are worth.");
  app.add_option("MODEL.gguf", options->report.models, "models; the first is what the others are compared with")
      ->required();
  app.add_option("-f,--file", options->report.text, "held-out text")->required();
  app.add_option("--windows", options->report.windows, "most windows of text to score")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--depth", options->report.depths, "tokens of text before speed is measured; several, by commas")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str();
  add_threads(app, options->threads);
  add_json(app, options->json, "one JSON object a row on standard output");
  app.footer("Example:\n  margay report base.gguf linear.gguf linear-q4.gguf -f held-out.txt --depth 0,8192\n");
  app.callback([options] { report(*options); });
}

}  // namespace margay
