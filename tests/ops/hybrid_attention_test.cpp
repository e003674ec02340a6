// hybrid_attention and feature maps against the reference implementation's outputs, and calls with a state against one
// call without, whatever the pieces.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "formats/safetensors.h"
#include "ops/attention/state.h"
#include "ops/ops.h"
#include "ops/program.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using Floats = std::vector<float>;

// Largest difference relative to the largest expected magnitude.
double difference(const float* expected, const float* actual, size_t count) {
  double largest = 1e-30, worst = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!std::isfinite(actual[i])) return INFINITY;
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    worst = std::max(worst, std::abs(static_cast<double>(expected[i]) - static_cast<double>(actual[i])));
  }
  return worst / largest;
}

Floats run(const Graph& graph, Tensor output, int threads = 1) {
  Team team(threads);
  Program program(graph, {&output, 1}, team);
  program.run();
  const float* values = program.data<float>(output);
  return {values, values + elements(output.shape())};
}

// --- the reference's outputs ----------------------------------------------------------------------------------------

// A tensor [1, A, B, C] or [A, B, C] with its axes A and B, or B and C, exchanged.
Floats exchanged(const Safetensors& file, const std::string& name, bool last) {
  const TensorEntry& entry = file.tensor(name);
  const Floats from = to_float(entry);
  const size_t rank = entry.shape.size(), a = static_cast<size_t>(entry.shape[rank - 3]);
  const size_t b = static_cast<size_t>(entry.shape[rank - 2]), c = static_cast<size_t>(entry.shape[rank - 1]);
  Floats to(from.size());
  for (size_t i = 0; i < a; ++i)
    for (size_t j = 0; j < b; ++j)
      for (size_t k = 0; k < c; ++k) to[last ? (i * c + k) * b + j : (j * a + i) * c + k] = from[(i * b + j) * c + k];
  return to;
}

// [1, H, T, D] -> [1, T, H, D]
Tensor tokens_first(Graph& graph, const Safetensors& file, const std::string& name) {
  const std::vector<int64_t>& s = file.tensor(name).shape;
  return graph.constant(make_shape({1, s[2], s[1], s[3]}), exchanged(file, name, false));
}

// [H, d, F] -> [H, F, d]
Tensor map_weight(Graph& graph, const Safetensors& file, const std::string& name) {
  const std::vector<int64_t>& s = file.tensor(name).shape;
  return graph.constant(make_shape({s[0], s[2], s[1]}), exchanged(file, name, true));
}

TEST(FeatureMapGolden, EveryKind) {
  const Safetensors file(test::data("lolcats/feature_maps.safetensors"));
  const std::pair<const char*, FeatureKind> kinds[] = {{"softmax_dim", FeatureKind::kSoftmaxFull},
                                                       {"softmax_dim_half", FeatureKind::kSoftmaxHalf},
                                                       {"exp_dim", FeatureKind::kExpFull},
                                                       {"exp_dim_half", FeatureKind::kExpHalf},
                                                       {"relu", FeatureKind::kRelu},
                                                       {"pos_elu", FeatureKind::kElu1}};
  for (const auto& [name, kind] : kinds) {
    Graph graph;
    const Tensor z =
        head_linear(tokens_first(graph, file, "x"), map_weight(graph, file, std::string(name) + ".weight"));
    const Floats actual = run(graph, feature_activation(z, kind, 1e-12f));
    const Floats expected = exchanged(file, std::string(name) + ".out", false);
    ASSERT_EQ(expected.size(), actual.size()) << name;
    EXPECT_LE(difference(expected.data(), actual.data(), actual.size()), 1e-5) << name;
  }
}

// The reference's arguments as ours. `copies` repeats the row; the values may be replaced.
struct Golden {
  Safetensors file{test::data("lolcats/hybrid_attention.safetensors")};
  Graph graph;
  int64_t tokens = 200, heads = 4, d = 16;

  Tensor repeated(Tensor x, int64_t copies) {
    return copies == 1 ? x : add(x, graph.constant(make_shape({copies, 1, 1, 1}), Floats(static_cast<size_t>(copies))));
  }

  Tensor attention(WindowKind kind, int32_t window, bool affine, int64_t copies = 1, Tensor v = {}) {
    const Tensor q = tokens_first(graph, file, "q"), k = tokens_first(graph, file, "k");
    if (!v) v = tokens_first(graph, file, "v");
    const Tensor age_k = aged_keys(k, kind == WindowKind::kNone ? 0 : window);
    const auto features = [&](Tensor x, const char* weight) {
      return feature_activation(head_linear(x, map_weight(graph, file, weight)), FeatureKind::kSoftmaxFull, 1e-12f);
    };
    Floats logit = to_float(file.tensor("window_factor"));  // the reference's argument is the factor itself
    for (float& x : logit) x = std::log(x / (1 - x));
    // Terraces of the reference end with the row.
    const int32_t blocks = (static_cast<int32_t>(tokens) + window - 1) / window;
    const int32_t phase = kind == WindowKind::kTerraced ? blocks * window - static_cast<int32_t>(tokens) : 0;
    const HybridAttentionParams params{kind, window, phase, affine, 0, 0, 0.25f};
    return hybrid_attention(repeated(q, copies), repeated(k, copies), v, repeated(features(q, "Wq"), copies),
                            repeated(features(age_k, "Wk"), copies), graph.constant(make_shape({heads}), logit), params)
        .y;
  }
};

TEST(HybridAttentionGolden, Outputs) {
  for (const bool sliding : {true, false})
    for (const int32_t window : {16, 64})
      for (const bool affine : {false, true}) {
        Golden golden;
        const std::string name =
            fmt::format("{}.w{}.{}.y", sliding ? "sliding" : "terraced", window, affine ? "affine" : "free");
        const WindowKind kind = sliding ? WindowKind::kSliding : WindowKind::kTerraced;
        const Floats actual = run(golden.graph, golden.attention(kind, window, affine));
        const Floats expected = exchanged(golden.file, name, false);
        EXPECT_LE(difference(expected.data(), actual.data(), actual.size()), 1e-5) << name;
      }
}

TEST(HybridAttentionGolden, Linear) {
  Golden golden;
  const Floats actual = run(golden.graph, golden.attention(WindowKind::kNone, 64, false));
  const Floats expected = exchanged(golden.file, "linear.y", false);
  EXPECT_LE(difference(expected.data(), actual.data(), actual.size()), 1e-5);
}

TEST(HybridAttentionGolden, Softmax) {
  Golden golden;
  const Tensor y =
      softmax_attention(tokens_first(golden.graph, golden.file, "q"), tokens_first(golden.graph, golden.file, "k"),
                        tokens_first(golden.graph, golden.file, "v"), {0.25f, 0, 0})
          .y;
  const Floats actual = run(golden.graph, y), expected = exchanged(golden.file, "softmax.y", false);
  EXPECT_LE(difference(expected.data(), actual.data(), actual.size()), 1e-5);
}

// With the rows of an identity as values the outputs are the attention weights: 13 copies of the row, 16 columns each.
TEST(HybridAttentionGolden, Weights) {
  for (const bool sliding : {true, false})
    for (const bool affine : {false, true}) {
      Golden golden;
      const int64_t copies = 13, row = golden.heads * golden.d;
      Floats values(static_cast<size_t>(copies * golden.tokens * row), 0.f);
      for (int64_t key = 0; key < golden.tokens; ++key)
        for (int64_t h = 0; h < golden.heads; ++h)
          values[static_cast<size_t>((key / golden.d * golden.tokens + key) * row + h * golden.d + key % golden.d)] = 1;
      const Tensor v = golden.graph.constant(make_shape({copies, golden.tokens, golden.heads, golden.d}), values);
      const WindowKind kind = sliding ? WindowKind::kSliding : WindowKind::kTerraced;
      const Floats y = run(golden.graph, golden.attention(kind, 16, affine, copies, v));
      const std::string name = fmt::format("{}.w16.{}.a", sliding ? "sliding" : "terraced", affine ? "affine" : "free");
      const Floats expected = to_float(golden.file.tensor(name));
      Floats actual(expected.size());
      for (int64_t h = 0; h < golden.heads; ++h)
        for (int64_t n = 0; n < golden.tokens; ++n)
          for (int64_t key = 0; key < golden.tokens; ++key)
            actual[static_cast<size_t>((h * golden.tokens + n) * golden.tokens + key)] =
                y[static_cast<size_t>((key / golden.d * golden.tokens + n) * row + h * golden.d + key % golden.d)];
      EXPECT_LE(difference(expected.data(), actual.data(), actual.size()), 1e-5) << name;
    }
}

// --- states ---------------------------------------------------------------------------------------------------------

struct Layer {
  WindowKind kind;  // of the hybrid; softmax layers: `softmax`, with the window of the architecture or 0
  int32_t window, phase;
  int64_t heads, kv_heads, maps;
  bool softmax = false;
  int64_t d = 16, f = 24, capacity = 512;
};

constexpr int64_t kTokens = 333, kSequences = 2;

// Rows of all tokens for both sequences, and the outputs of one call without a state.
struct Rows {
  Layer layer;
  Floats q, k, v, fq, fk, logit, y, aged;

  explicit Rows(const Layer& l) : layer(l) {
    uint64_t seed = 1;
    const auto random = [&](int64_t heads, int64_t width, float low, float high) {
      Floats x(static_cast<size_t>(kSequences * kTokens * heads * width));
      for (float& value : x) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        value = low + (high - low) * static_cast<float>(seed >> 40) * 0x1p-24f;
      }
      return x;
    };
    q = random(l.heads, l.d, -2, 2), k = random(l.kv_heads, l.d, -2, 2), v = random(l.kv_heads, l.d, -1, 1);
    fq = random(l.heads, l.f, 0, 0.3f), fk = random(l.maps, l.f, 0, 0.3f);
    logit.assign(static_cast<size_t>(l.heads), -1.f);
    Graph graph;
    const auto constant = [&](int64_t heads, int64_t width, const Floats& x) {
      return graph.constant(make_shape({kSequences, kTokens, heads, width}), x);
    };
    const Tensor tq = constant(l.heads, l.d, q), tk = constant(l.kv_heads, l.d, k), tv = constant(l.kv_heads, l.d, v);
    if (l.softmax) {
      y = run(graph, softmax_attention(tq, tk, tv, {0.25f, 0, l.window}).y);
      return;
    }
    y = run(graph, hybrid_attention(tq, tk, tv, constant(l.heads, l.f, fq), constant(l.maps, l.f, fk),
                                    graph.constant(make_shape({l.heads}), logit), params())
                       .y);
    aged = run(graph, affine(aged_keys(tk, age()), 1, 0));
  }

  int32_t age() const { return layer.kind == WindowKind::kNone ? 0 : layer.window; }
  HybridAttentionParams params() const { return {layer.kind, layer.window, layer.phase, 0, 0, 0, 0.25f}; }
  LinearStateLayout layout() const { return {layer.maps, layer.kv_heads, layer.d, layer.f, age()}; }
  int64_t state_floats() const {
    return layer.softmax ? 2 * layer.capacity * layer.kv_heads * layer.d : layout().floats();
  }
};

// A call of some sequences with T tokens each; states in `memory`.
struct Call {
  Graph graph;
  Tensor q, k, v, fq, fk, position, state, y, aged;

  Call(const Rows& rows, int64_t batch, int64_t tokens) {
    const Layer& l = rows.layer;
    const auto input = [&](const char* name, int64_t heads, int64_t width) {
      return graph.input(name, make_shape({batch, tokens, heads, width}), DType::F32);
    };
    q = input("q", l.heads, l.d), k = input("k", l.kv_heads, l.d), v = input("v", l.kv_heads, l.d);
    position = graph.input("position", make_shape({batch}), DType::I32);
    if (l.softmax) {
      state = graph.state("cache", make_shape({2, l.capacity, l.kv_heads, l.d}), DType::F32, static_cast<int>(batch));
      y = softmax_attention(q, k, v, {0.25f, 1, l.window}, position, state).y;
      return;
    }
    fq = input("fq", l.heads, l.f), fk = input("fk", l.maps, l.f);
    state = graph.state("state", make_shape({rows.state_floats()}), DType::F32, static_cast<int>(batch));
    const Tensor logit = graph.constant(make_shape({l.heads}), rows.logit);
    if (rows.age() > 0) aged = aged_keys(k, rows.age(), position, state, rows.params(), l.maps, l.f);
    y = hybrid_attention(q, k, v, fq, fk, logit, rows.params(), position, state).y;
  }
};

// Feeds tokens [start[b], start[b] + tokens) of each listed sequence; `shift` is added to the positions the op is told.
void feed(const Rows& rows, const std::vector<int64_t>& sequences, const std::vector<int64_t>& start, int64_t tokens,
          std::vector<Floats>& states, int threads, Floats& y, int64_t shift = 0) {
  const Layer& l = rows.layer;
  Call call(rows, static_cast<int64_t>(sequences.size()), tokens);
  Team team(threads);
  std::vector<Tensor> outputs{call.y};
  if (call.aged) outputs.push_back(call.aged);
  Program program(call.graph, outputs, team);
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto copy = [&](Tensor to, const Floats& from, int64_t row) {
      const int64_t at = (sequences[i] * kTokens + start[i]) * row;
      std::memcpy(program.data<float>(to) + static_cast<int64_t>(i) * tokens * row, from.data() + at,
                  static_cast<size_t>(tokens * row) * sizeof(float));
    };
    copy(call.q, rows.q, l.heads * l.d), copy(call.k, rows.k, l.kv_heads * l.d), copy(call.v, rows.v, l.kv_heads * l.d);
    if (!l.softmax) copy(call.fq, rows.fq, l.heads * l.f), copy(call.fk, rows.fk, l.maps * l.f);
    program.data<int32_t>(call.position)[i] = static_cast<int32_t>(start[i] + shift);
    program.bind(call.state, static_cast<int64_t>(i), states[static_cast<size_t>(sequences[i])].data());
  }
  program.run();
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto collect = [&](Tensor from, Floats& to, int64_t row) {
      std::memcpy(to.data() + (sequences[i] * kTokens + start[i]) * row,
                  program.data<float>(from) + static_cast<int64_t>(i) * tokens * row,
                  static_cast<size_t>(tokens * row) * sizeof(float));
    };
    collect(call.y, y, l.heads * l.d);
    if (!call.aged) continue;
    const int64_t row = l.kv_heads * l.d, at = (sequences[i] * kTokens + start[i]) * row;
    EXPECT_EQ(0, std::memcmp(program.data<float>(call.aged) + static_cast<int64_t>(i) * tokens * row,
                             rows.aged.data() + at, static_cast<size_t>(tokens * row) * sizeof(float)))
        << "aged keys of tokens " << start[i];
  }
}

// Nothing of a state's memory counts before the first token.
std::vector<Floats> fresh_states(const Rows& rows) {
  return {kSequences, Floats(static_cast<size_t>(rows.state_floats()), std::numeric_limits<float>::quiet_NaN())};
}

// The second sequence is `ahead` tokens ahead; both get pieces of the sizes given, in turns, until one ends.
Floats in_pieces(const Rows& rows, int64_t ahead, const std::vector<int64_t>& pieces, int threads, int64_t& end) {
  std::vector<Floats> states = fresh_states(rows);
  Floats y(rows.y.size(), 0.f);
  if (ahead > 0) feed(rows, {1}, {0}, ahead, states, threads, y);
  int64_t at = 0;
  for (size_t i = 0; at + ahead < kTokens; ++i) {
    const int64_t tokens = std::min(pieces[i % pieces.size()], kTokens - at - ahead);
    feed(rows, {0, 1}, {at, at + ahead}, tokens, states, threads, y);
    at += tokens;
  }
  end = at;  // of sequence 0
  return y;
}

const Layer kLayers[] = {{WindowKind::kTerraced, 16, 0, 4, 2, 4},
                         {WindowKind::kTerraced, 64, 0, 4, 2, 2},
                         {WindowKind::kTerraced, 70, 5, 3, 1, 3, false, 5, 3},
                         {WindowKind::kSliding, 16, 0, 4, 2, 2},
                         {WindowKind::kSliding, 64, 0, 4, 2, 4},
                         {WindowKind::kSliding, 70, 33, 3, 1, 1, false, 5, 3},
                         {WindowKind::kNone, 64, 0, 4, 2, 4},
                         {WindowKind::kNone, 16, 0, 4, 2, 2},
                         {WindowKind::kSliding, 0, 0, 4, 2, 0, true},
                         {WindowKind::kSliding, 20, 0, 4, 1, 0, true},
                         {WindowKind::kSliding, 0, 0, 3, 3, 0, true, 5}};

std::string describe(const Layer& l) {
  return fmt::format("{} kind {} window {} maps {}", l.softmax ? "softmax" : "hybrid", static_cast<int>(l.kind),
                     l.window, l.maps);
}

TEST(AttentionState, PiecesEqualOneCall) {
  const std::vector<int64_t> ways[] = {{333}, {1}, {7}, {64}, {100}, {128, 1, 1, 7}, {3, 200, 1}};
  for (const Layer& layer : kLayers) {
    const Rows rows(layer);
    const size_t row = static_cast<size_t>(layer.heads * layer.d);
    for (const auto& pieces : ways)
      for (const int64_t ahead : {0, 37}) {
        int64_t end = 0;
        const Floats y = in_pieces(rows, ahead, pieces, 1, end);
        const std::string what = fmt::format("{}, pieces of {}, {} ahead", describe(layer), pieces[0], ahead);
        EXPECT_LE(difference(rows.y.data(), y.data(), static_cast<size_t>(end) * row), 1e-5) << what;
        EXPECT_LE(difference(rows.y.data() + kTokens * row, y.data() + kTokens * row, kTokens * row), 1e-5) << what;
      }
  }
}

TEST(AttentionState, ThreadsGiveTheSameBits) {
  for (const Layer& layer : kLayers) {
    const Rows rows(layer);
    int64_t end = 0;
    const Floats one = in_pieces(rows, 37, {100, 1, 7, 1}, 1, end);
    for (const int threads : {2, 3})
      EXPECT_EQ(one, in_pieces(rows, 37, {100, 1, 7, 1}, threads, end)) << describe(layer);
  }
}

// Far into a text nothing but the places in ring and grid matters: a state moved by whole rings gives the same results.
TEST(AttentionState, PositionsInTheMillions) {
  for (const Layer& layer : kLayers) {
    if (layer.softmax) continue;
    const Rows rows(layer);
    const int64_t begin = 3 * layer.window + 5, shift = 12345678 * layer.window;
    std::vector<Floats> states = fresh_states(rows);
    Floats y(rows.y.size(), 0.f);
    feed(rows, {0}, {0}, begin, states, 2, y);
    int64_t at = begin;
    for (const int64_t tokens : {1ll, 7ll, static_cast<long long>(kTokens - begin - 8)}) {
      feed(rows, {0}, {at}, tokens, states, 2, y, shift);
      at += tokens;
    }
    EXPECT_LE(difference(rows.y.data(), y.data(), static_cast<size_t>(kTokens * layer.heads * layer.d)), 1e-5)
        << describe(layer);
  }
}

}  // namespace
}  // namespace margay
