// SessionOptions::reference: terraces that end where the first feed ends, then a sliding window.
#include <gtest/gtest.h>

#include <algorithm>

#include "ops/program.h"
#include "runtime/session.h"
#include "tests/runtime/tiny_model.h"

namespace margay {
namespace {

constexpr int64_t kWindow = 16;  // of tiny_model()

// Logits of every token in one stateless pass.
std::vector<float> forward(const Model& model, const ModelConfig& config, const std::vector<int32_t>& tokens,
                           int32_t phase, bool sliding) {
  BuildOptions options;
  options.tokens = static_cast<int64_t>(tokens.size());
  options.phase = phase;
  options.sliding = sliding;
  const auto built = build_model(config, model.linear, model.weights, options);
  Team team(2);
  Program program(built->graph, std::vector{built->logits}, team);
  for (size_t i = 0; i < tokens.size(); ++i) {
    program.data<int32_t>(built->tokens)[i] = tokens[i];
    program.data<int32_t>(built->positions)[i] = static_cast<int32_t>(i);
  }
  program.run();
  const float* logits = program.data<float>(built->logits);
  return {logits, logits + tokens.size() * 1024};
}

TEST(Reference, TerracesEndWithTheTextAndDecodingSlides) {
  // One layer: the keys and values of what was fed are the same for any window, so decoding has an answer of its own.
  GgufWriter writer;
  ModelConfig config = test::tiny_config();
  config.layers = 1;
  test::Variant variant{"one layer", {true}};
  const LinearConfig linear = test::linear_of(variant, config);
  write_model_config(writer, config, linear);
  Tokenizer::from_huggingface(test::data("hf/tiny-llama3")).to_gguf(writer);
  test::add_tensors(writer, config, linear);
  const std::string path = test::scratch("reference-one-layer.gguf");
  writer.write(path, [&](size_t index, const GgufWriter::Sink& sink) {
    Random random(index + 1);
    std::vector<float> values(static_cast<size_t>(writer.tensor(index).elements()));
    for (float& value : values) value = 0.2f * static_cast<float>(random.normal());
    sink(values.data(), values.size() * sizeof(float));
  });
  const Model model(path);
  Team team(2);
  SessionOptions options;
  options.reference = true;
  options.chunk = 7;
  Session session(model, team, options);
  for (const int64_t length : {1, 16, 37, 80}) {
    session.reset();
    std::vector<int32_t> tokens = test::random_tokens(length, 3);
    const auto phase = static_cast<int32_t>((kWindow - length % kWindow) % kWindow);
    const std::vector<float> expected = forward(model, config, tokens, phase, false);
    session.feed_all_logits(tokens, [&](int64_t, int64_t first, int64_t, std::span<const float> logits) {
      for (size_t i = 0; i < logits.size(); ++i)
        ASSERT_NEAR(logits[i], expected[static_cast<size_t>(first) * 1024 + i], 1e-4) << length << " " << first;
    });
    for (int step = 0; step < 20; ++step) {
      tokens.push_back(500 + step);
      session.feed(tokens.back());
      const std::vector<float> all = forward(model, config, tokens, 0, true);
      for (size_t i = 0; i < 1024; ++i)
        ASSERT_NEAR(session.logits()[i], all[all.size() - 1024 + i], 1e-4) << length << " " << step;
    }
  }
  options.sequences = 2;
  EXPECT_THROW(Session(model, team, options), Error);
}

}  // namespace
}  // namespace margay
