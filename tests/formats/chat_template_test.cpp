// Chat templates: real ones from ../shared/data, the well-known formats, and the tokens of a prompt.
#include "formats/chat_template.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using Json = nlohmann::ordered_json;

Json talk() {
  return Json::parse(R"([{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Hi"},
                         {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Bye"}])");
}

std::string render_named(const std::string& name, const std::string& bos = "<s>", const std::string& eos = "</s>") {
  ChatOptions options;
  options.bos = bos;
  options.eos = eos;
  return ChatTemplate::named(name).render(talk(), options);
}

TEST(ChatTemplate, RealTemplatesGiveHuggingFacesTexts) {
  const std::string folder = test::unpacked("fixtures");
  if (folder.empty()) GTEST_SKIP() << "needs ../shared/data/fixtures.tar.xz";
  std::ifstream lines(folder + "/chat/golden.jsonl");
  int texts = 0, errors = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json row = Json::parse(line);
    const std::string name = row["template"];
    SCOPED_TRACE(name);
    ChatOptions options;
    options.generation_prompt = row["add_generation_prompt"];
    options.bos = row["bos"];
    options.eos = row["eos"];
    std::optional<std::string> text;
    try {
      text = ChatTemplate(read_text_file(folder + "/chat/templates/" + name), name).render(row["messages"], options);
    } catch (const Error& error) {
      EXPECT_TRUE(row.contains("error")) << error.what();
    }
    if (row.contains("error")) EXPECT_FALSE(text) << row["error"];
    else EXPECT_EQ(text, row["expected"].get<std::string>());
    ++(row.contains("error") ? errors : texts);
  }
  EXPECT_EQ(texts, 480);
  EXPECT_EQ(errors, 50);
}

TEST(ChatTemplate, WellKnownFormats) {
  EXPECT_EQ(render_named("chatml"),
            "<|im_start|>system\nBe terse.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!"
            "<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render_named("llama2"),
            "<s>[INST] <<SYS>>\nBe terse.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] Bye [/INST]");
  EXPECT_EQ(
      render_named("llama3", "<|begin_of_text|>"),
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe terse.<|eot_id|><|start_header_id|>user"
      "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
      "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(render_named("mistral"), "<s>[INST] Be terse.\n\nHi [/INST] Hello!</s>[INST] Bye [/INST]");
  EXPECT_EQ(
      render_named("zephyr"),
      "<|system|>\nBe terse.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello!</s>\n<|user|>\nBye</s>\n<|assistant|>\n");
  EXPECT_EQ(render_named("phi3"),
            "<|system|>\nBe terse.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello!<|end|>\n<|user|>\nBye<|end|>\n"
            "<|assistant|>\n");
  EXPECT_EQ(render_named("gemma", "<bos>"),
            "<bos><start_of_turn>user\nBe terse.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello!<end_of_turn>\n"
            "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(chat_template_names().size(), 7u);
}

TEST(ChatTemplate, NamesFilesAndNothingElse) {
  const std::string path = test::scratch("own.jinja"), config = test::scratch("own-config.json");
  write_text_file(path, "{{ messages[1].content }}!");
  write_text_file(config, R"({"chat_template": "{{ messages | length }}"})");
  EXPECT_EQ(render_named(path), "Hi!");
  EXPECT_EQ(render_named(config), "4");
  EXPECT_THROW(render_named("no-such-format"), Error);
}

TEST(ChatTemplate, MessagesAreChecked) {
  for (const char* broken : {"{}", "[]", "[1]", R"([{"content": "x"}])", R"([{"role": 1}])", "[", R"({"messages": 5})"})
    EXPECT_THROW(parse_messages(broken, "talk.json"), Error) << broken;
  EXPECT_EQ(parse_messages(R"({"messages": [{"role": "user", "content": "x"}]})", "talk.json").size(), 1u);
}

TEST(ChatTemplate, TheClockIsTheCallers) {
  ChatOptions options;
  options.clock = [] {
    std::tm time = {};
    time.tm_year = 99;
    time.tm_mon = 11;
    time.tm_mday = 31;
    return time;
  };
  EXPECT_EQ(ChatTemplate("{{ strftime_now('%Y-%m-%d') }}", "t").render(talk(), options), "1999-12-31");
}

TEST(ChatTemplate, APromptHasSpecialTokensAndOneBos) {
  const Tokenizer tokenizer = Tokenizer::from_huggingface(test::data("hf/tiny-llama3"));
  ASSERT_TRUE(tokenizer.adds_bos());
  const std::string bos(tokenizer.token_text(*tokenizer.bos()));
  ChatOptions options;
  options.bos = bos;
  const std::string prompt = ChatTemplate::of(tokenizer, "tiny").render(talk(), options);
  ASSERT_TRUE(prompt.starts_with(bos));
  const std::vector<int32_t> ids = encode_chat(tokenizer, prompt);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer.bos()), 1);
  EXPECT_EQ(ids[0], *tokenizer.bos());
  EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer.find_token("<|eot_id|>")), 4);
  EXPECT_EQ(encode_chat(tokenizer, prompt.substr(bos.size())), ids);
}

}  // namespace
}  // namespace margay
