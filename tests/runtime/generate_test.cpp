// Generation, documents, perplexity and speed on tiny models.
#include "runtime/generate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/progress.h"
#include "convert/quantize.h"
#include "runtime/documents.h"
#include "runtime/perplexity.h"
#include "runtime/speed.h"
#include "tests/runtime/tiny_model.h"

namespace margay {
namespace {

TEST(StopMatcher, HoldsBackOnlyWhatMayStop) {
  StopMatcher matcher({"END", "", "\n\n"});
  EXPECT_EQ(matcher.push("one E"), "one ");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_EQ(matcher.push("T\n"), "ENT");
  EXPECT_EQ(matcher.push("two"), "\ntwo");
  EXPECT_EQ(matcher.push(" E"), " ");
  EXPECT_EQ(matcher.push("ND and more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, FirstOneCounts) {
  StopMatcher matcher({"bc", "abcd"});
  EXPECT_EQ(matcher.push("xab"), "x");
  EXPECT_EQ(matcher.push("c"), "a");
  EXPECT_TRUE(matcher.stopped());
  StopMatcher rest({"abc"});
  EXPECT_EQ(rest.push("ab"), "");
  EXPECT_EQ(rest.finish(), "ab");
}

class GenerateTest : public testing::Test {
 protected:
  const std::string path_ = test::tiny_model(test::variants()[6]);  // hybrid
  const Model model_{path_};
  Team team_{2};

  GenerateResult run(GenerateOptions options, std::string& text, int64_t capacity = 500, int cancel_after = 1 << 30) {
    SessionOptions settings;
    settings.capacity = capacity;
    Session session(model_, team_, settings);
    Sampler sampler({.temperature = 1, .seed = 5});
    text.clear();
    return generate(
        session, model_.tokenizer, sampler, test::random_tokens(20, 1), options,
        [&](std::string_view piece) { text += piece; }, [&] { return cancel_after-- <= 0; });
  }
};

TEST_F(GenerateTest, CountsAndStops) {
  std::string text, again;
  const GenerateResult result = run({.tokens = 50, .ignore_eos = true, .stops = {}}, text);
  EXPECT_EQ(result.reason, StopReason::kTokens);
  EXPECT_EQ(result.prompt_tokens, 20);
  EXPECT_EQ(result.generated_tokens, 50);
  EXPECT_EQ(result.decode_steps, 49);
  EXPECT_FALSE(text.empty());
  run({.tokens = 50, .ignore_eos = true, .stops = {}}, again);
  EXPECT_EQ(text, again);

  const std::string stop = text.substr(text.size() / 2, 3);
  const GenerateResult stopped = run({.tokens = 50, .ignore_eos = true, .stops = {stop}}, again);
  EXPECT_EQ(stopped.reason, StopReason::kStopText);
  EXPECT_EQ(again, text.substr(0, text.find(stop)));

  EXPECT_EQ(run({.tokens = 0, .ignore_eos = false, .stops = {}}, again).generated_tokens, 0);
}

TEST_F(GenerateTest, ContextAndInterruption) {
  std::string text;
  const GenerateResult full = run({.tokens = -1, .ignore_eos = true, .stops = {}}, text, 40);
  EXPECT_EQ(full.reason, StopReason::kContext);
  EXPECT_EQ(full.generated_tokens, 21);  // the last one was not fed
  const GenerateResult interrupted = run({.tokens = -1, .ignore_eos = true, .stops = {}}, text, 400, 10);
  EXPECT_EQ(interrupted.reason, StopReason::kInterrupted);
  EXPECT_EQ(interrupted.generated_tokens, 9);
  EXPECT_THROW(run({}, text, 19), Error);
}

TEST_F(GenerateTest, EmptyPromptIsAnError) {
  Session session(model_, team_);
  Sampler sampler({});
  EXPECT_THROW(generate(session, model_.tokenizer, sampler, {}, {}, [](std::string_view) {}), Error);
}

std::vector<std::string> documents_of(const Model& model, Team& team, int64_t batch) {
  DocumentOptions options;
  options.documents = 10, options.tokens = 30, options.batch = batch;
  options.sampler = {.temperature = 0.9f, .seed = 3};
  std::vector<std::string> texts;
  int64_t tokens = 0;
  sample_documents(
      model, team, options, [&](const std::string& text) { texts.push_back(text); },
      [&](int64_t more) { tokens += more; });
  EXPECT_EQ(tokens, 10 * 30);
  return texts;
}

TEST_F(GenerateTest, DocumentsDoNotDependOnTheBatch) {
  set_progress_quiet(true);
  const std::string quantized_path = test::scratch("runtime-llama3-q8.gguf");
  convert_model(test::data("hf/tiny-llama3"), quantized_path, DType::Q8_0, 1);
  const Model quantized(quantized_path);
  for (const Model* model : {&model_, &quantized}) {
    const std::vector<std::string> one = documents_of(*model, team_, 1);
    ASSERT_EQ(one.size(), 10u);
    EXPECT_NE(one[0], one[1]);
    EXPECT_EQ(documents_of(*model, team_, 9), one);
    EXPECT_EQ(documents_of(*model, team_, 16), one);
  }
}

TEST(Perplexity, CrossEntropyIsStable) {
  EXPECT_NEAR(cross_entropy_of(std::vector<float>{1000, 1000}, 0), std::log(2.0), 1e-12);
  EXPECT_NEAR(cross_entropy_of(std::vector<float>{-1000, 1000}, 0), 2000, 1e-9);
  EXPECT_NEAR(cross_entropy_of(std::vector<float>(5, 0.25f), 3), std::log(5.0), 1e-12);
}

// Every window by itself, from the logits.
double plain_cross_entropy(const Model& model, Team& team, const std::vector<int32_t>& tokens, int64_t window) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t begin = 0; begin + window <= static_cast<int64_t>(tokens.size()); begin += window) {
    Session session(model, team);
    for (int64_t i = 0; i + 1 < window; ++i, ++count) {
      session.feed(tokens[static_cast<size_t>(begin + i)]);
      sum += cross_entropy_of(session.logits(), tokens[static_cast<size_t>(begin + i + 1)]);
    }
  }
  return sum / static_cast<double>(count);
}

TEST(Perplexity, PlainProtocol) {
  const std::string path = test::tiny_model(test::variants()[1]);
  const Model model(path);
  Team team(2);
  const std::vector<int32_t> tokens = test::random_tokens(230, 4);
  PerplexityOptions options;
  options.window = 100;
  const PerplexityResult result = measure_perplexity(model, team, tokens, options);
  EXPECT_EQ(result.protocol, "plain");
  EXPECT_EQ(result.windows, 2);
  EXPECT_EQ(result.tokens, 198);
  EXPECT_EQ(result.late_tokens, 0);
  EXPECT_NEAR(result.cross_entropy, plain_cross_entropy(model, team, tokens, 100), 1e-5);
  EXPECT_NEAR(result.ppl, std::exp(result.cross_entropy), 1e-9);
  EXPECT_GT(result.ppl_error, 0);

  options.window = 0;  // shorter than a window: scored whole
  const PerplexityResult whole = measure_perplexity(model, team, tokens, options);
  EXPECT_EQ(whole.windows, 1);
  EXPECT_EQ(whole.tokens, 229);

  const PerplexityResult late = measure_perplexity(model, team, test::random_tokens(2500, 4), options);
  EXPECT_EQ(late.tokens, 2 * 1023);
  EXPECT_EQ(late.late_tokens, 2 * 512);
  options.max_windows = 1;
  EXPECT_EQ(measure_perplexity(model, team, test::random_tokens(2500, 4), options).windows, 1);
  EXPECT_THROW(measure_perplexity(model, team, std::vector<int32_t>{1}, options), Error);
}

TEST(Perplexity, LlamaProtocol) {
  const std::string path = test::tiny_model(test::variants()[0]);
  const Model model(path);
  Team team(2);
  PerplexityOptions options;
  options.protocol = protocol_from_name("llama");
  options.window = 64;
  std::vector<int32_t> tokens = test::random_tokens(140, 4);
  const PerplexityResult result = measure_perplexity(model, team, tokens, options);
  EXPECT_EQ(result.protocol, "llama");
  EXPECT_EQ(result.tokens, 2 * 31);
  ASSERT_TRUE(model.tokenizer.adds_bos());
  tokens[0] = tokens[64] = *model.tokenizer.bos();  // is put there anyway
  EXPECT_EQ(measure_perplexity(model, team, tokens, options).cross_entropy, result.cross_entropy);
  options.window = 512;
  EXPECT_THROW(measure_perplexity(model, team, tokens, options), Error);
  EXPECT_THROW(protocol_from_name("other"), Error);
}

TEST(Speed, MeasuresSomething) {
  const std::string path = test::tiny_model(test::variants()[6]);
  const Model model(path);
  Team team(1);
  for (const int64_t depth : {0, 1, 512, 1100}) {
    const SpeedResult result = measure_speed(model, team, {.depth = depth, .decode_tokens = 16});
    EXPECT_EQ(result.prefill_rate > 0, depth > 0);
    EXPECT_GT(result.decode_rate, 0);
    EXPECT_GE(result.state_bytes, model.linear_state_bytes() + depth * model.kv_bytes_per_token());
  }
}

}  // namespace
}  // namespace margay
