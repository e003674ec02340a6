#include "runtime/session.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace margay {
namespace {

constexpr size_t kPrograms = 6;                       // kept beside each other
constexpr int64_t kLogitElements = int64_t{1} << 24;  // of a chunk with all logits: 64 MiB
constexpr int64_t kLastPosition = std::numeric_limits<int32_t>::max();

int64_t align(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// What a program must compute: the logits where there are some, else the updated states.
std::vector<Tensor> outputs_of(BuiltModel& built) {
  if (built.logits) return {built.logits};
  std::vector<Tensor> outputs;
  Graph& graph = built.graph;
  for (int32_t id = 0; id < static_cast<int32_t>(graph.values().size()); ++id) {
    const bool updated = graph.value(id).producer >= 0 && graph.value(graph.memory_of(id)).kind == Kind::kState;
    if (updated) outputs.push_back({&graph, id});
  }
  return outputs;
}

}  // namespace

Session::Session(const Model& model, Team& team, const SessionOptions& options)
    : model_(model), team_(team), options_(options) {
  require(options.sequences >= 1 && options.sequences <= kMaxSequences, "{} sequences: use 1 to {}", options.sequences,
          kMaxSequences);
  require(!options.reference || options.sequences == 1, "the reference's way runs one sequence, not {}",
          options.sequences);
  require(options.chunk >= 1, "chunks of {} tokens: use 1 or more", options.chunk);
  require(options.capacity >= 0 && options.capacity <= kLastPosition, "a context of {} tokens: use 1 to {}",
          options.capacity, kLastPosition);
  if (options_.capacity == 0) options_.capacity = std::min(model.config.usual_context(), kDefaultCapacity);
  positions_.assign(static_cast<size_t>(options.sequences), 0);
  programs_.reserve(kPrograms);
  programs_.push_back(record(1, LogitRows::kLast));
  allocate_states(*programs_[0].built);
  bind_states(programs_[0]);
}

Session::Recorded Session::record(int64_t tokens, LogitRows rows) {
  BuildOptions build;
  build.sequences = options_.sequences;
  build.tokens = tokens;
  build.stateful = true;
  build.kv_capacity = options_.capacity;
  build.kv_chunk = chunk_tokens();
  build.attention = options_.softmax ? AttentionMode::kSoftmax : AttentionMode::kConfigured;
  build.logits = rows;
  build.float_products = options_.float_products;
  build.window_only = options_.window_only;
  build.phase = grid_.phase;
  build.sliding = grid_.sliding;
  Recorded entry{tokens,  rows,
                 grid_,   build_model(model_.config, model_.linear, model_.weights, build, model_.lora.scale()),
                 nullptr, ++clock_};
  const std::vector<Tensor> outputs = outputs_of(*entry.built);
  entry.program = std::make_unique<Program>(entry.built->graph, outputs, team_, options_.isa);
  return entry;
}

Session::Recorded& Session::recorded(int64_t tokens, LogitRows rows) {
  if (tokens == 1) rows = LogitRows::kLast;  // the one that is always there
  for (Recorded& entry : programs_) {
    if (entry.tokens != tokens || entry.rows != rows || entry.grid != grid_) continue;
    entry.used = ++clock_;
    return entry;
  }
  Recorded fresh = record(tokens, rows);
  bind_states(fresh);
  if (programs_.size() < kPrograms) return programs_.emplace_back(std::move(fresh));
  const auto oldest = std::min_element(programs_.begin() + 1, programs_.end(),
                                       [](const Recorded& a, const Recorded& b) { return a.used < b.used; });
  return *oldest = std::move(fresh);
}

void Session::allocate_states(const BuiltModel& built) {
  for (const LayerState& layer : built.states) {
    if (layer.linear) {
      linear_stride_ += align(layer.bytes);
      continue;
    }
    kv_tokens_.push_back(layer.tokens);
    for (int64_t b = 0; b < options_.sequences; ++b) kv_caches_.emplace_back(static_cast<size_t>(layer.bytes));
  }
  linear_states_ = Buffer(static_cast<size_t>(linear_stride_ * options_.sequences));
}

void Session::bind_states(Recorded& entry) const {
  int64_t offset = 0;
  size_t cache = 0;
  for (const LayerState& layer : entry.built->states) {
    for (int64_t b = 0; b < options_.sequences; ++b) {
      void* memory = layer.linear ? linear_states_.data() + b * linear_stride_ + offset : kv_caches_[cache++].data();
      entry.program->bind(layer.state, b, memory);
    }
    if (layer.linear) offset += align(layer.bytes);
  }
}

void Session::check(std::span<const int32_t> tokens) const {
  const int64_t count = static_cast<int64_t>(tokens.size()), b = options_.sequences;
  require(count > 0 && count % b == 0, "feeding {} tokens to {} sequences: give each the same number", count, b);
  for (const int32_t id : tokens)
    require(id >= 0 && id < vocabulary(), "token id {} is outside the vocabulary of {}", id, vocabulary());
  require(count / b <= context_left(),
          "{} more tokens do not fit: the context holds {} tokens and {} are in it; give a larger --ctx", count / b,
          unlimited() ? kLastPosition : options_.capacity, *std::max_element(positions_.begin(), positions_.end()));
}

void Session::choose_grid(int64_t tokens) {
  const int64_t w = model_.linear.window;
  if (position() > 0) grid_.sliding = true;
  else grid_ = {static_cast<int32_t>((w - tokens % w) % w), false};
}

// Runs tokens first ... first + entry.tokens - 1 of each row of `tokens` [B, total].
void Session::run_chunk(Recorded& entry, std::span<const int32_t> tokens, int64_t total, int64_t first) {
  const int64_t count = entry.tokens;
  int32_t* ids = entry.program->data<int32_t>(entry.built->tokens);        // [B, T]
  int32_t* places = entry.program->data<int32_t>(entry.built->positions);  // [B * T]
  int32_t* start = entry.program->data<int32_t>(entry.built->position);    // [B]
  for (int64_t b = 0; b < options_.sequences; ++b) {
    int64_t& position = positions_[static_cast<size_t>(b)];
    std::copy_n(tokens.begin() + b * total + first, count, ids + b * count);
    for (int64_t t = 0; t < count; ++t) places[b * count + t] = static_cast<int32_t>(position + t);
    start[b] = static_cast<int32_t>(position);
    position += count;
  }
  entry.program->run();
  if (!entry.built->logits) return;
  const int64_t rows = entry.rows == LogitRows::kAll ? count : 1;  // of each sequence
  logits_ = entry.program->data<float>(entry.built->logits) + (rows - 1) * vocabulary();
  logit_stride_ = rows * vocabulary();
}

template <class AfterChunk>
void Session::feed_chunks(std::span<const int32_t> tokens, int64_t chunk, LogitRows rows, const AfterChunk& after) {
  check(tokens);
  const int64_t total = static_cast<int64_t>(tokens.size()) / options_.sequences;
  if (options_.reference) choose_grid(total);
  for (int64_t first = 0; first < total; first += chunk) {
    const int64_t count = std::min(chunk, total - first);
    const bool skip = rows == LogitRows::kLast && first + count < total;
    Recorded& entry = recorded(count, skip ? LogitRows::kNone : rows);
    run_chunk(entry, tokens, total, first);
    after(first, count);
  }
}

void Session::feed(std::span<const int32_t> tokens) {
  feed_chunks(tokens, chunk_tokens(), LogitRows::kLast, [](int64_t, int64_t) {});
}

void Session::feed_all_logits(std::span<const int32_t> tokens, const LogitSink& sink) {
  const int64_t fits = std::max<int64_t>(1, kLogitElements / vocabulary() / options_.sequences);
  const int64_t chunk = std::min(chunk_tokens(), fits);
  feed_chunks(tokens, chunk, LogitRows::kAll, [&](int64_t first, int64_t count) {
    const float* begin = logits_ - (count - 1) * vocabulary();  // of sequence 0's first row
    for (int64_t b = 0; b < options_.sequences; ++b)
      sink(b, first, count, {begin + b * logit_stride_, static_cast<size_t>(count * vocabulary())});
  });
}

std::span<const float> Session::logits(int64_t sequence) const {
  if (!logits_) return {};
  return {logits_ + sequence * logit_stride_, static_cast<size_t>(vocabulary())};
}

int64_t Session::chunk_tokens() const { return std::max<int64_t>(1, options_.chunk / options_.sequences); }

int64_t Session::context_left() const {
  const int64_t limit = unlimited() ? kLastPosition : options_.capacity;
  return limit - *std::max_element(positions_.begin(), positions_.end());
}

int64_t Session::kv_bytes(int64_t sequence) const {
  int64_t tokens = 0;
  for (const int64_t capacity : kv_tokens_) tokens += std::min(position(sequence), capacity);
  return tokens * 2 * model_.config.kv_heads * model_.config.head_dim * static_cast<int64_t>(sizeof(float));
}

void Session::reset() {
  for (int64_t b = 0; b < options_.sequences; ++b) reset(b);
}

void Session::reset(int64_t sequence) {
  positions_[static_cast<size_t>(sequence)] = 0;
  if (linear_stride_ > 0)
    std::memset(linear_states_.data() + sequence * linear_stride_, 0, static_cast<size_t>(linear_stride_));
}

void Session::skip_to(int64_t position) {
  const int64_t window = model_.linear.any() && model_.linear.age() > 0 ? model_.linear.age() : 64;
  for (int64_t& held : positions_) {
    require(held >= 1 && position >= held && position <= (unlimited() ? kLastPosition : options_.capacity),
            "skipping to token {}: {} tokens are there and the context holds {}", position, held, options_.capacity);
    require(linear_stride_ == 0 || (position - held) % window == 0,
            "skipping {} tokens of a linearized model: skip a multiple of {}", position - held, window);
    const auto b = static_cast<size_t>(&held - positions_.data());
    for (size_t i = b; i < kv_caches_.size(); i += positions_.size()) {
      const int64_t tokens = kv_tokens_[i / positions_.size()];
      const size_t half = kv_caches_[i].size() / 2, row = half / static_cast<size_t>(tokens);
      for (std::byte* rows : {kv_caches_[i].data(), kv_caches_[i].data() + half})  // keys, values
        for (int64_t t = std::max(held, position - tokens); t < position; ++t) {
          const auto to = static_cast<size_t>(t % tokens), from = static_cast<size_t>(t % held % tokens);
          if (to != from) std::memcpy(rows + to * row, rows + from * row, row);
        }
    }
    held = position;
  }
}

}  // namespace margay
