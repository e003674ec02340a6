// Sequences of tokens going through a model: their states, positions and recorded programs.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/threads.h"
#include "models/model.h"
#include "ops/program.h"

namespace margay {

struct SessionOptions {
  int64_t sequences = 1;  // B: side by side, each with its own position and state; at most kMaxSequences
  // Tokens that the KV caches of softmax layers hold; 0: the model's usual context, at most kDefaultCapacity. Memory is
  // taken as it is used. Means nothing for a model whose layers are all linearized.
  int64_t capacity = 0;
  bool softmax = false;         // run a linearized model as its softmax base
  bool float_products = false;  // multiply quantized weights in float32
  bool window_only = false;     // drop the linear terms (an evaluation)
  // As the reference runs a checkpoint, for parity: the terraces of a text's first feed end where it ends, and whatever
  // follows slides. Its double count of texts no longer than the window is left out. One sequence only.
  bool reference = false;
  int64_t chunk = 512;  // rows (sequences x tokens) that one run takes of a long feed
  Isa isa = chosen_isa();
};

constexpr int64_t kDefaultCapacity = 32768;

// Feeding is deterministic: the same tokens give the same bits for any number of threads, and the same logits up to
// rounding however they are cut. Feeding one token to each sequence allocates nothing. Not for several threads at once.
class Session {
 public:
  // Model and team must outlive the session. Throws Error when the model cannot be recorded or memory is not to be had.
  Session(const Model& model, Team& team, const SessionOptions& options = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Appends tokens [B, T] (row-major, T the same for all sequences) and keeps the logits of the last ones. Throws
  // Error, with nothing fed, on an id outside the vocabulary or where the KV caches would overflow.
  void feed(std::span<const int32_t> tokens);
  void feed(int32_t token) { feed(std::span<const int32_t>(&token, 1)); }  // one sequence
  // Receives logits [rows, vocabulary] of `sequence`, of its tokens first ... first + rows - 1 within the feed. They
  // are valid during the call.
  using LogitSink = std::function<void(int64_t sequence, int64_t first, int64_t rows, std::span<const float> logits)>;
  // feed() that hands out the logits of every token, chunk by chunk.
  void feed_all_logits(std::span<const int32_t> tokens, const LogitSink& sink);

  // Logits [vocabulary] after the last token of `sequence`; valid until the next feed. Empty before the first one.
  std::span<const float> logits(int64_t sequence = 0) const;

  int64_t sequences() const { return options_.sequences; }
  int64_t vocabulary() const { return model_.config.vocabulary; }
  int64_t position(int64_t sequence = 0) const { return positions_[static_cast<size_t>(sequence)]; }  // tokens fed
  int64_t chunk_tokens() const;  // tokens a sequence that one run takes
  // Tokens that still fit in every sequence: the KV caches' rest, or what 32-bit positions allow.
  int64_t context_left() const;
  bool unlimited() const { return kv_caches_.empty(); }  // no KV cache: memory does not grow
  // Bytes that a sequence needs now: constant states, and the used part of KV caches.
  int64_t state_bytes(int64_t sequence = 0) const { return linear_bytes() + kv_bytes(sequence); }
  int64_t linear_bytes() const { return linear_stride_; }  // of one sequence
  int64_t kv_bytes(int64_t sequence = 0) const;            // of the tokens it holds
  void reset();                                            // all sequences, to before their first token
  void reset(int64_t sequence);
  // For benchmarks, where prefilling would take hours: goes on as if the text so far, of n tokens, had been followed by
  // position - n more. KV caches get copies of the rows they hold; linearized layers keep their states, so the tokens
  // left out must be a multiple of the window. All sequences; n is at least 1.
  void skip_to(int64_t position);

 private:
  // The part of the terraces' definition that the reference changes as it goes.
  struct Grid {
    int32_t phase = 0;
    bool sliding = false;
    bool operator==(const Grid&) const = default;
  };
  struct Recorded {
    int64_t tokens;
    LogitRows rows;
    Grid grid;
    std::unique_ptr<BuiltModel> built;
    std::unique_ptr<Program> program;
    uint64_t used;  // when, for the least recently used to go
  };
  Recorded& recorded(int64_t tokens, LogitRows rows);
  Recorded record(int64_t tokens, LogitRows rows);
  void allocate_states(const BuiltModel& built);
  void bind_states(Recorded& entry) const;
  void check(std::span<const int32_t> tokens) const;
  void choose_grid(int64_t tokens);
  void run_chunk(Recorded& entry, std::span<const int32_t> tokens, int64_t total, int64_t first);
  template <class AfterChunk>
  void feed_chunks(std::span<const int32_t> tokens, int64_t chunk, LogitRows rows, const AfterChunk& after);

  const Model& model_;
  Team& team_;
  SessionOptions options_;
  std::vector<int64_t> positions_;  // [B]
  int64_t linear_stride_ = 0;       // bytes of one sequence
  Buffer linear_states_;            // [B] of all linearized layers' states
  std::vector<Buffer> kv_caches_;   // [softmax layers, B]: zero pages until used
  std::vector<int64_t> kv_tokens_;  // [softmax layers]: of a sequence's cache
  std::vector<Recorded> programs_;  // the first one is T = 1 and stays
  Grid grid_;                       // of the next run
  uint64_t clock_ = 0;
  const float* logits_ = nullptr;  // of sequence 0
  int64_t logit_stride_ = 0;       // floats from one sequence's to the next one's
};

}  // namespace margay
