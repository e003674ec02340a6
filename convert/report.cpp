#include "convert/report.h"

#include <filesystem>

#include "base/file.h"
#include "base/interrupt.h"
#include "runtime/perplexity.h"
#include "runtime/speed.h"

namespace margay {

std::vector<ReportRow> measure_report(const ReportOptions& options, Team& team) {
  std::vector<ReportRow> rows;
  const std::string text = read_text_file(options.text);
  for (const std::string& path : options.models) {
    const Model model(path);
    const std::string name = std::filesystem::path(path).filename().string();
    const std::vector<int32_t> tokens = perplexity_tokens(model.tokenizer, text, PerplexityProtocol::kPlain);
    PerplexityOptions perplexity;
    perplexity.max_windows = options.windows;
    const auto measure = [&](const std::string& row_name, bool window_only) {
      options.say("perplexity of " + row_name);
      perplexity.window_only = window_only;
      ReportRow row;
      row.name = row_name;
      row.ppl = measure_perplexity(model, team, tokens, perplexity, [](int64_t, double) { return !interrupted(); }).ppl;
      throw_if_interrupted();
      row.weight_bytes = model.weight_bytes();
      rows.push_back(row);
      rows.back().relative = row.ppl / rows.front().ppl;
    };
    measure(name, false);
    for (const int64_t depth : options.depths) {
      throw_if_interrupted();
      options.say(fmt::format("speed of {} at depth {}", name, depth));
      SpeedOptions speed;
      speed.depth = depth;
      const SpeedResult result = measure_speed(model, team, speed);
      rows.back().decode_rate.push_back(result.decode_rate);
      rows.back().state_bytes.push_back(result.state_bytes);
    }
    if (model.linear.any() && model.linear.window_kind != WindowKind::kNone)
      measure(name + ", window branch only", true);
  }
  return rows;
}

}  // namespace margay
