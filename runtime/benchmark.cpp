#include "runtime/benchmark.h"

#include <algorithm>
#include <chrono>

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/random.h"
#include "runtime/session.h"

namespace margay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// One row: a session, and a piece of work that is timed again and again.
class Measurement {
 public:
  Measurement(const Model& model, const BenchmarkOptions& options, const BenchmarkRow& row)
      : model_(model), work_(model), options_(options), row_(row), team_(row.threads), random_(options.seed) {
    if (row_.prefill) row_.batch = 1;
    SessionOptions settings;
    settings.sequences = row_.batch;
    settings.softmax = options.softmax;
    settings.capacity = row_.tokens + 1 + (row_.prefill ? 0 : (options.repeats + 1) * options.decode_tokens);
    session_ = std::make_unique<Session>(model, team_, settings);
  }

  BenchmarkRow run() {
    prepare();
    std::vector<double> rates, limits, ratios, read, fma, int8;
    for (int i = 0; i < options_.repeats; ++i) {
      throw_if_interrupted();
      const Limits now = measure_limits_apart();
      const double rate = row_.prefill ? prefill() : decode();
      const double limit = row_.prefill ? work_.prefill_limit(now) : work_.decode_limit(now, row_.batch);
      rates.push_back(rate), limits.push_back(limit), ratios.push_back(rate / limit);
      read.push_back(now.read), fma.push_back(now.fma), int8.push_back(now.int8);
    }
    row_.rate = median(rates), row_.limit = median(limits), row_.ratio = median(ratios);
    row_.limits = {median(read), median(fma), median(int8)};
    row_.peak_bytes = std::max(row_.peak_bytes, peak_resident_bytes());
    for (int64_t b = 0; b < row_.batch; ++b) row_.state_bytes += session_->state_bytes(b);
    return row_;
  }

 private:
  // What this needs is no memory of the model's: the peak so far is noted, and counting begins anew.
  Limits measure_limits_apart() {
    row_.peak_bytes = std::max(row_.peak_bytes, peak_resident_bytes());
    const Limits limits = measure_limits(row_.threads);
    if (!reset_peak_resident()) row_.peak_bytes = 0;
    return limits;
  }

  std::vector<int32_t> tokens(int64_t count) {
    std::vector<int32_t> ids(static_cast<size_t>(count * row_.batch));
    for (int32_t& id : ids) id = static_cast<int32_t>(random_.below(static_cast<uint64_t>(session_->vocabulary())));
    return ids;
  }

  void feed(int64_t count) {
    const int64_t piece = session_->chunk_tokens();
    for (int64_t first = 0; first < count; first += piece) {
      throw_if_interrupted();
      session_->feed(tokens(std::min(piece, count - first)));
    }
  }

  // Records the programs, maps the weights in, and goes to the depth.
  void prepare() {
    if (row_.prefill) {
      feed(std::min(row_.tokens, session_->chunk_tokens()));
      session_->reset();
      return;
    }
    const int64_t window = model_.linear.any() && model_.linear.age() > 0 ? model_.linear.age() : 64;
    const int64_t real = row_.tokens % window + 4 * window;  // a block has been folded, and the window is full
    if (options_.random_state && row_.tokens > real) {
      feed(real);
      session_->skip_to(row_.tokens);
    } else {
      feed(row_.tokens);
    }
    decode();
  }

  double prefill() {
    session_->reset();
    const std::vector<int32_t> prompt = tokens(row_.tokens);
    const auto start = Clock::now();
    session_->feed(prompt);
    return static_cast<double>(row_.tokens) / seconds_since(start);
  }

  double decode() {
    const int64_t steps = options_.decode_tokens;
    const std::vector<int32_t> ids = tokens(steps);
    const auto start = Clock::now();
    for (int64_t i = 0; i < steps; ++i)
      session_->feed(std::span(ids).subspan(static_cast<size_t>(i * row_.batch), static_cast<size_t>(row_.batch)));
    return static_cast<double>(steps * row_.batch) / seconds_since(start);
  }

  const Model& model_;
  const ModelWork work_;
  const BenchmarkOptions& options_;
  BenchmarkRow row_;
  Team team_;
  Random random_;
  std::unique_ptr<Session> session_;
};

void check(const BenchmarkOptions& options) {
  require(options.repeats >= 1 && options.decode_tokens >= 1, "{} repeats of {} tokens: use 1 or more", options.repeats,
          options.decode_tokens);
  for (const int64_t prompt : options.prompts) require(prompt >= 1, "a prompt of {} tokens: use 1 or more", prompt);
  for (const int64_t depth : options.depths) require(depth >= 0, "depth {}: use 0 or more", depth);
}

}  // namespace

ModelWork::ModelWork(const Model& model) : decode_bytes(model.decode_bytes()) {
  double quantized = 0;
  for (const TensorEntry& tensor : model.file.tensors()) {
    if (tensor.shape.size() != 2 || !tensor.name.starts_with("blk.")) continue;
    prompt_products += static_cast<double>(tensor.elements());
    if (type_info(tensor.dtype).quantized) quantized += static_cast<double>(tensor.elements());
  }
  int8 = quantized > prompt_products / 2;
}

double ModelWork::decode_limit(const Limits& limits, int64_t batch) const {
  return limits.read / static_cast<double>(decode_bytes) * static_cast<double>(batch);
}

double ModelWork::prefill_limit(const Limits& limits) const {
  return (int8 ? limits.int8 : limits.fma) / (2 * prompt_products);
}

void measure_benchmark(const Model& model, const BenchmarkOptions& options,
                       const std::function<void(const std::string&)>& say,
                       const std::function<void(const BenchmarkRow&)>& on_row) {
  check(options);
  const auto measure = [&](const BenchmarkRow& row, const std::string& what) {
    throw_if_interrupted();
    say(fmt::format("{}, {} threads", what, row.threads));
    on_row(Measurement(model, options, row).run());
  };
  for (const int threads : options.threads) {
    BenchmarkRow row;
    row.threads = threads;
    row.prefill = true;
    for (const int64_t prompt : options.prompts) {
      row.tokens = prompt;
      measure(row, fmt::format("prefill of {}", prompt));
    }
    row.prefill = false;
    for (const int64_t batch : options.batches)
      for (const int64_t depth : options.depths) {
        row.tokens = depth, row.batch = batch;
        measure(row, fmt::format("decoding {} sequences at depth {}", batch, depth));
      }
  }
}

double first_token_seconds(const Model& model, int threads) {
  const auto start = Clock::now();
  Team team(threads);
  Session session(model, team);
  session.feed(model.tokenizer.bos().value_or(0));
  return seconds_since(start);
}

}  // namespace margay
