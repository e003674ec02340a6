// stories260K, a real model in llama2.c's two layouts, against the text that its authors give for greedy sampling.
#include "convert/import_llama2c.h"

#include "base/file.h"
#include "convert/source.h"
#include "models/model.h"
#include "runtime/generate.h"
#include "tests/convert/convert_data.h"

namespace margay::test {
namespace {

std::string converted(const std::string& folder, const char* name) {
  const Quiet quiet;
  const std::string out = scratch(std::string(name) + ".gguf");
  import_llama2c(folder + "/" + name, "", out, DType::F32, 2);
  return out;
}

TEST(ImportLlama2c, BothLayoutsGiveTheSameModel) {
  const std::string shared = unpacked("tokenizers"), folder = shared + "/stories260K";
  if (shared.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  EXPECT_EQ(detect_source(folder + "/checkpoint_legacy.bin"), SourceKind::kLlama2c);
  const std::string a = converted(folder, "checkpoint_legacy.bin"), b = converted(folder, "checkpoint_v1.bin");
  const GgufFile legacy(a), version1(b);
  const ModelConfig config = read_model_config(legacy);
  EXPECT_EQ(config.layers, 5);
  EXPECT_EQ(config.kv_heads, 4);
  ASSERT_EQ(legacy.tensors().size(), version1.tensors().size());
  for (const TensorEntry& tensor : legacy.tensors())
    EXPECT_EQ(values(tensor), values(version1.tensor(tensor.name))) << tensor.name;
  EXPECT_ERROR(import_llama2c(folder + "/checkpoint_v1.bin", folder + "/absent", a, DType::F32, 1), "--tokenizer");
}

TEST(ImportLlama2c, Stories260kTellsItsStory) {
  const std::string shared = unpacked("tokenizers"), folder = shared + "/stories260K";
  if (shared.empty()) GTEST_SKIP() << "needs ../shared/data/tokenizers.tar.xz";
  const Model model(converted(folder, "checkpoint_legacy.bin"));
  Team team(2);
  Session session(model, team, {.capacity = 257});
  Sampler sampler({.temperature = 0});
  std::string text;
  generate(session, model.tokenizer, sampler, model.tokenizer.encode("", true), {.tokens = 256},
           [&](std::string_view piece) { text += piece; });
  const std::string story = read_text_file(folder + "/stories260K.md");
  const size_t begin = story.find("Once upon a time, there was a little girl named Lily."),
               end = story.find("\n```", begin);
  ASSERT_NE(end, std::string::npos);
  EXPECT_EQ(text, story.substr(begin, end - begin));
}

}  // namespace
}  // namespace margay::test
