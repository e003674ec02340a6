// margay tokenize on files other than models, and its comparison with golden ids.
#include "base/file.h"
#include "tests/cli/program.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using test::data;
using test::margay;
using test::quoted;

TEST(Tokenize, TakesFoldersAndFiles) {
  for (const char* source : {"hf/tiny-llama2", "hf/tiny-llama2/tokenizer.json", "hf/tiny-llama2/tokenizer.model"})
    EXPECT_EQ(margay("tokenize " + quoted(data(source)) + " --ids --no-special -p 'Hello world'").out,
              "417 286 966 521 320\n");
  test::expect_error(margay("tokenize " + quoted(data("tokens/spm.jsonl")) + " -p a"), 1);
}

TEST(Tokenize, VerifyCountsAndShowsTheFirstDifferences) {
  const std::string source = "tokenize " + quoted(data("hf/tiny-llama2")) + " --verify ";
  const test::Outcome same = margay(source + quoted(data("tokens/spm.jsonl")));
  EXPECT_EQ(same.code, 0);
  EXPECT_EQ(same.out, "158 of 158 equal\n");
  EXPECT_EQ(same.err, "");

  const test::ScratchFolder folder("verify");
  std::string lines = R"({"text": "Hello", "ids": [417, 286, 966], "decoded": "Hello"})"
                      "\n";
  for (int i = 0; i < 13; ++i)
    lines += R"({"text": "a", "ids": [1]})"
             "\n";
  write_text_file(folder / "wrong.jsonl", lines);
  const test::Outcome wrong = margay(source + quoted(folder / "wrong.jsonl"));
  EXPECT_EQ(wrong.code, 1);
  EXPECT_EQ(wrong.out, "1 of 14 equal\n");
  EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 11);
  EXPECT_NE(wrong.err.find("line 2: ids 261 expected 1\n"), std::string::npos) << wrong.err;
  EXPECT_NE(wrong.err.find("and 3 more\n"), std::string::npos) << wrong.err;

  write_text_file(folder / "broken.jsonl", R"({"text": "a", "ids": "1"})");
  test::expect_error(margay(source + quoted(folder / "broken.jsonl")), 1);
}

}  // namespace
}  // namespace margay
