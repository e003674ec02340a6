// The commands one after the other on a tiny model, as a user would: convert, inspect, tokenize, logits, run,
// perplexity, quantize, linearize.
#include <cmath>
#include <fstream>
#include <memory>

#include "convert/gguf_edit.h"
#include "formats/safetensors.h"
#include "models/model.h"
#include "tests/cli/program.h"
#include "tests/convert/rounded_rope.h"

namespace margay {
namespace {

using test::expect_error;
using test::margay;
using test::one_object;
using test::quoted;

class CliPipeline : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::ScratchFolder>("cli");
    const test::Outcome outcome =
        margay("convert " + quoted(test::data("hf/tiny-llama3")) + " -o " + model() + " --type F32");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const std::string license = test::read_text(std::string(MARGAY_SOURCE) + "/LICENSE");
    std::ofstream(file("text.txt")) << license << license << license << license;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string file(const std::string& name) { return *folder_ / name; }
  static std::string model() { return quoted(file("tiny.gguf")); }
  static std::string text() { return quoted(file("text.txt")); }
  static std::unique_ptr<test::ScratchFolder> folder_;
};

std::unique_ptr<test::ScratchFolder> CliPipeline::folder_;

TEST_F(CliPipeline, Inspect) {
  const nlohmann::json json = one_object(margay("inspect " + model() + " --json"));
  EXPECT_EQ(json["metadata"]["general.architecture"], "llama");
  EXPECT_EQ(json["tensor_count"], json["tensors"].size());
  const test::Outcome text = margay("inspect " + model());
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.out.find("token_embd.weight"), std::string::npos);
  EXPECT_NE(margay("inspect " + quoted(test::data("hf/tiny-llama3/model.safetensors"))).out.find("BF16"),
            std::string::npos);
}

TEST_F(CliPipeline, TokenizeEqualsHuggingFace) {
  const std::string expected = quoted(test::data("tokens/llama3.jsonl"));
  const nlohmann::json json = one_object(margay("tokenize " + model() + " --verify " + expected + " --json"));
  EXPECT_EQ(json["lines"], 164);
  EXPECT_EQ(json["equal"], 164);
}

TEST_F(CliPipeline, TokenizeThereAndBack) {
  const test::Outcome ids = margay("tokenize " + model() + " --ids --no-special -p 'a wild cat'");
  ASSERT_EQ(ids.code, 0) << ids.err;
  EXPECT_EQ(margay("tokenize " + model() + " --decode -p '" + ids.out + "'").out, "a wild cat");
  const std::string piped = "printf 'a wild cat' | " + quoted(std::string(MARGAY_BUILD) + "/margay") + " tokenize " +
                            model() + " --ids --no-special";
  EXPECT_EQ(test::run_command(piped).out, ids.out);
}

double largest_difference(const std::string& a, const std::string& b) {
  const Safetensors first(a), second(b);
  EXPECT_EQ(first.tensor("logits").shape, second.tensor("logits").shape);
  const std::vector<float> x = to_float(first.tensor("logits")), y = to_float(second.tensor("logits"));
  if (x.size() != y.size()) return INFINITY;
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
  return largest;
}

TEST_F(CliPipeline, LogitsEqualTheReference) {
  // The reference rounded RoPE's frequencies (tests/convert/rounded_rope.h): a model file that asks for the same.
  const Model plain(file("tiny.gguf"));
  const std::vector<float> factors = test::rounded_rope_factors(plain.config, plain.weights);
  ModelEdit edit;
  edit.config = plain.config;
  edit.tensors["rope_freqs.weight"].weight = {make_shape({static_cast<int64_t>(factors.size())}), DType::F32,
                                              factors.data()};
  write_model(file("rounded.gguf"), plain.file, edit, 1);

  const std::string golden = test::data("hf/tiny-llama3/golden.safetensors"), out = file("logits.safetensors");
  const std::string arguments = "logits " + quoted(file("rounded.gguf")) + " --tokens " + quoted(golden) + " -o ";
  const test::Outcome outcome = margay(arguments + quoted(out));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_LE(largest_difference(out, golden), 1e-3);
  const std::string pieces = file("pieces.safetensors");
  ASSERT_EQ(margay(arguments + quoted(pieces) + " --piece 7").code, 0);
  EXPECT_LE(largest_difference(out, pieces), 1e-4);
}

TEST_F(CliPipeline, RunGivesTheSameTextForTheSameSeed) {
  const std::string arguments = "run " + model() + " -p 'a wild cat' -n 8 --seed 5 --ignore-eos";
  const test::Outcome first = margay(arguments), second = margay(arguments);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out, "");
  EXPECT_EQ(first.out, second.out);
  EXPECT_NE(first.err.find("tokens/s"), std::string::npos) << "statistics belong on standard error";
  const nlohmann::json json = one_object(margay(arguments + " --json"));
  EXPECT_EQ(json["generated_tokens"], 8);
  EXPECT_EQ(json["text"].get<std::string>() + "\n", first.out);
}

TEST_F(CliPipeline, PerplexityNamesItsProtocol) {
  const std::string arguments = "perplexity " + model() + " -f " + text() + " --windows 2 --json";
  const nlohmann::json plain = one_object(margay(arguments));
  EXPECT_EQ(plain["protocol"], "plain");
  EXPECT_GT(plain["ppl"], 1.0);
  EXPECT_EQ(plain["windows"], 2);
  const nlohmann::json llama = one_object(margay(arguments + " --ctx 128"));
  EXPECT_EQ(llama["protocol"], "llama");
  EXPECT_GT(llama["ppl"], 1.0);
}

TEST_F(CliPipeline, QuantizedModelsRun) {
  for (const std::string type : {"q8_0", "Q4_0", "bf16"}) {
    SCOPED_TRACE(type);
    const std::string out = quoted(file("quantized.gguf"));
    const test::Outcome outcome = margay("quantize " + model() + " " + out + " " + type);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(margay("run " + out + " -p 'a wild cat' -n 2 --seed 1").code, 0);
  }
}

TEST_F(CliPipeline, ImportanceMatrix) {
  const std::string matrix = quoted(file("matrix.gguf")), out = quoted(file("weighed.gguf"));
  const nlohmann::json made =
      one_object(margay("imatrix " + model() + " -f " + text() + " -o " + matrix + " --ctx 64 --windows 3 --json"));
  EXPECT_EQ(made["windows"], 3);
  const nlohmann::json plain = one_object(margay("quantize " + model() + " " + out + " q4_k_s --json"));
  const nlohmann::json weighed =
      one_object(margay("quantize " + model() + " " + out + " q4_k_s --json --imatrix " + matrix));
  EXPECT_EQ(weighed["type"], "Q4_K_S");
  ASSERT_EQ(weighed["errors"].size(), plain["errors"].size());
  for (size_t i = 0; i < weighed["errors"].size(); ++i) {
    SCOPED_TRACE(plain["errors"][i]["tensor"].get<std::string>());
    if (plain["errors"][i]["to"] == "Q8_0") continue;
    EXPECT_GT(weighed["errors"][i]["rms_error"], plain["errors"][i]["rms_error"])
        << "error moved, and so not the least";
  }
  const test::Outcome rows =
      margay("convert " + model() + " -o " + out + " --type q5_0 --per-tensor --imatrix " + matrix);
  EXPECT_EQ(rows.code, 0) << rows.err;
  EXPECT_NE(rows.err.find("blk.1.attn_q.weight"), std::string::npos) << rows.err;
  EXPECT_EQ(margay("run " + out + " -p 'a wild cat' -n 2 --seed 1").code, 0);
  expect_error(margay("quantize " + model() + " " + out + " q4_0 --imatrix " + text()), 1);
}

TEST_F(CliPipeline, LinearizedModelsRun) {
  const std::string out = quoted(file("linear.gguf"));
  const test::Outcome outcome =
      margay("linearize " + model() + " -o " + out + " --data " + text() +
             " --window 16 --transfer-steps 2 --lora-steps 2 --sequences 1 --length 128 --no-measure --json");
  one_object(outcome);
  const nlohmann::json json = one_object(margay("inspect " + out + " --json"));
  EXPECT_EQ(json["metadata"]["general.architecture"], "llama-linear");
  const nlohmann::json run = one_object(margay("run " + out + " -p 'a wild cat' -n 40 --seed 1 --ignore-eos --json"));
  EXPECT_EQ(run["generated_tokens"], 40);
  EXPECT_EQ(run["kv_bytes"], 0);
  EXPECT_GT(run["state_bytes"], 0);
  expect_error(margay("linearize " + out + " -o " + quoted(file("twice.gguf")) + " --data " + text()), 1);
}

TEST_F(CliPipeline, TruncatedModelsAreRefused) {
  const std::string whole = test::read_text(file("tiny.gguf"));
  const std::string broken = file("broken.gguf"), out = file("out.gguf");
  std::ofstream(out) << "old";
  for (const size_t size : {size_t{0}, size_t{3}, size_t{20}, size_t{1000}, whole.size() / 2, whole.size() - 1}) {
    SCOPED_TRACE(size);
    std::ofstream(broken, std::ios::binary) << whole.substr(0, size);
    expect_error(margay("inspect " + quoted(broken)), 1);
    expect_error(margay("run " + quoted(broken) + " -p a"), 1);
    expect_error(margay("quantize " + quoted(broken) + " " + quoted(out) + " q8_0"), 1);
    EXPECT_EQ(test::read_text(out), "old") << "a failure must leave the old file";
  }
}

TEST_F(CliPipeline, OutputOverTheInputIsRefused) {
  const std::string before = test::read_text(file("tiny.gguf"));
  expect_error(margay("quantize " + model() + " " + model() + " q8_0"), 1);
  EXPECT_EQ(test::read_text(file("tiny.gguf")), before);
}

}  // namespace
}  // namespace margay
