#include "formats/hf_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/test_data.h"

namespace margay {
namespace {

HfConfig config(const std::string& json) {
  const std::string path =
      test::scratch(std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + "-config.json");
  write_text_file(path, json);
  return HfConfig(path);
}

TEST(HfConfig, NewForm) {
  const HfConfig c(test::data("hf/tiny-llama3"));
  EXPECT_EQ(c.model_type, "llama");
  EXPECT_EQ(c.architecture, "LlamaForCausalLM");
  EXPECT_EQ(c.integer("hidden_size"), 128);
  EXPECT_EQ(c.integer_or("absent", 3), 3);
  EXPECT_DOUBLE_EQ(c.number("rms_norm_eps"), 1e-5);
  EXPECT_TRUE(c.boolean_or("tie_word_embeddings", false));
  EXPECT_EQ(c.string_or("dtype", ""), "bfloat16");
  EXPECT_FALSE(c.has("pad_token_id"));  // null
  EXPECT_EQ(c.integer_list("eos_token_id"), std::vector<int64_t>{1023});
  const RopeConfig rope = c.rope();
  EXPECT_EQ(rope.type, "llama3");
  EXPECT_EQ(rope.theta, 500000);
  EXPECT_EQ(rope.factor, 8);
  EXPECT_EQ(rope.low_freq_factor, 1);
  EXPECT_EQ(rope.high_freq_factor, 4);
  EXPECT_EQ(rope.original_max_position_embeddings, 64);
}

TEST(HfConfig, OldForm) {
  const HfConfig c = config(R"({"architectures":["Qwen2MoeForCausalLM"],"rope_theta":1e6,
      "rope_scaling":{"type":"linear","factor":4.0},"eos_token_id":[1,2],"layers":["a","b"]})");
  EXPECT_EQ(c.model_type, "qwen2_moe");
  EXPECT_EQ(c.rope().type, "linear");
  EXPECT_EQ(c.rope().theta, 1e6);
  EXPECT_EQ(c.rope().factor, 4);
  EXPECT_EQ(c.integer_list("eos_token_id"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(c.string_list("layers"), (std::vector<std::string>{"a", "b"}));
  const HfConfig plain = config(R"({"model_type":"phi","rope_scaling":null})");
  EXPECT_EQ(plain.rope().type, "default");
  EXPECT_EQ(plain.rope().theta, 10000);
  EXPECT_EQ(config(R"({"architectures":["LlamaForCausalLM"]})").model_type, "llama");
  EXPECT_EQ(config(R"({"architectures":["GPTNeoXForCausalLM"]})").architecture, "GPTNeoXForCausalLM");
}

TEST(HfConfig, ValuesAreChecked) {
  const HfConfig c = config(R"({"model_type":"x","half":1.5,"whole":4.0,"big":18446744073709551615,"huge":1e300,
      "text":"12","list":[1,"2"],"rope_theta":-1})");
  EXPECT_EQ(c.integer("whole"), 4);
  for (const char* key : {"half", "big", "huge", "text", "list", "absent"}) EXPECT_THROW(c.integer(key), Error) << key;
  EXPECT_THROW(c.number("text"), Error);
  EXPECT_THROW(c.boolean_or("text", true), Error);
  EXPECT_THROW(c.string_or("half", ""), Error);
  EXPECT_THROW(c.integer_list("list"), Error);
  EXPECT_THROW(c.rope(), Error);
  EXPECT_THROW(config("[]"), Error);
  EXPECT_THROW(config("{}"), Error);
  EXPECT_THROW(config(R"({"model_type":"a","model_type":"b"})"), Error);
  EXPECT_THROW(HfConfig(test::scratch("no-such-folder")), Error);
}

}  // namespace
}  // namespace margay
