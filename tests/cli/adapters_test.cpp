// LoLCATs checkpoints and LoRA adapters from the command line, in and out.
#include <memory>

#include "formats/safetensors.h"
#include "tests/cli/program.h"

namespace margay {
namespace {

using test::expect_error;
using test::margay;
using test::one_object;
using test::quoted;

class CliAdapters : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::ScratchFolder>("adapters");
    const test::Outcome outcome = margay("convert " + quoted(test::data("hf/tiny-llama3")) + lolcats() + " -o " +
                                         path("kept.gguf") + " --type f32 --keep-lora " + path("lora.gguf"));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("taken as hedgehog"), std::string::npos) << outcome.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string lolcats() {
    const std::string run = test::data("lolcats/tiny-llama3_terraced_w16_");
    return " --lolcats " + quoted(run + "distill.pt") + " --lolcats " + quoted(run + "ft.pt");
  }
  static std::string file(const std::string& name) { return *folder_ / name; }
  static std::string path(const std::string& name) { return quoted(file(name)); }
  static std::vector<float> logits(const std::string& arguments) {
    const test::Outcome outcome =
        margay("logits " + arguments + " --tokens " + quoted(test::data("hf/tiny-llama3/golden.safetensors")) + " -o " +
               path("logits.safetensors"));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.code ? std::vector<float>() : to_float(Safetensors(file("logits.safetensors")).tensor("logits"));
  }
  static std::unique_ptr<test::ScratchFolder> folder_;
};

std::unique_ptr<test::ScratchFolder> CliAdapters::folder_;

TEST_F(CliAdapters, LoraAtLoadAndMergedAgree) {
  const std::string kept = path("kept.gguf"), lora = " --lora " + path("lora.gguf");
  ASSERT_EQ(margay("convert " + kept + lora + " -o " + path("merged.gguf")).code, 0);
  const std::vector<float> merged = logits(path("merged.gguf")), loaded = logits(kept + lora), plain = logits(kept);
  ASSERT_EQ(merged.size(), loaded.size());
  double near = 0, far = 0;
  for (size_t i = 0; i < merged.size(); ++i) {
    near = std::max(near, std::abs(static_cast<double>(merged[i]) - loaded[i]));
    far = std::max(far, std::abs(static_cast<double>(plain[i]) - loaded[i]));
  }
  EXPECT_LT(near, 1e-3);
  EXPECT_GT(far, 0.1);
  EXPECT_EQ(logits(kept + " --lora " + path("lora.gguf=0")), plain);
  // The golden row has 96 tokens, six whole terraces of 16: the reference's way is margay's own.
  EXPECT_EQ(logits(path("merged.gguf") + " --reference"), merged);
  EXPECT_NE(logits(path("merged.gguf") + " --reference --piece 40"), merged);
  const test::Outcome run = margay("run " + kept + lora + " --reference -p 'A wild cat' -n 3 --temp 0");
  EXPECT_EQ(run.code, 0) << run.err;
}

TEST_F(CliAdapters, ExportAndInspect) {
  const std::string kept = path("kept.gguf"), lora = " --lora " + path("lora.gguf");
  for (const auto& [form, name] :
       {std::pair{"--peft", "peft"}, {"--huggingface", "folder"}, {"--lolcats", "l.safetensors"}}) {
    const bool whole = form == std::string("--huggingface");
    const test::Outcome outcome = margay("export " + kept + (whole ? "" : lora) + " " + form + " -o " + path(name));
    EXPECT_EQ(outcome.code, 0) << form << outcome.err;
  }
  EXPECT_EQ(margay("export " + kept + " --lora " + path("peft") + " --gguf-lora -o " + path("again.gguf")).code, 0);
  EXPECT_EQ(test::read_text(file("again.gguf")), test::read_text(file("lora.gguf")));
  const nlohmann::json json =
      one_object(margay("inspect " + quoted(test::data("lolcats/tiny-llama3_terraced_w16_ft.pt")) + " --json"));
  EXPECT_EQ(json["format"], "PyTorch checkpoint");
  EXPECT_EQ(json["tensor_count"], 24);
  EXPECT_EQ(json["metadata"]["step"], "40");
}

TEST_F(CliAdapters, WrongUseIsOneLine) {
  const std::string kept = path("kept.gguf");
  expect_error(margay("convert " + kept + " --window 64 -o " + path("x.gguf")), 2);
  expect_error(margay("export " + kept + " --peft -o " + path("x")), 1);
  expect_error(margay("export " + kept + " -o " + path("x")), 2);
  expect_error(margay("run " + kept + " --lora " + path("absent") + " -p x"), 1);
  expect_error(margay("perplexity " + kept + " --reference --ctx 64 -f " + kept), 1);
}

}  // namespace
}  // namespace margay
