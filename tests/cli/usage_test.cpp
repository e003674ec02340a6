// Help, exit codes and one-line errors.
#include "tests/cli/program.h"

namespace margay {
namespace {

using test::expect_error;
using test::margay;
using test::quoted;

const char* const kCommands[] = {"bench",    "convert", "inspect", "linearize", "logits",  "perplexity",
                                 "quantize", "report",  "run",     "sample",    "tokenize"};

TEST(CliUsage, NoArgumentsShowTheHelp) {
  const test::Outcome outcome = margay("");
  EXPECT_EQ(outcome.code, 2);
  for (const char* command : kCommands)
    EXPECT_NE((outcome.out + outcome.err).find(command), std::string::npos) << command;
}

TEST(CliUsage, EveryCommandHasHelpWithAnExample) {
  EXPECT_EQ(margay("--help").code, 0);
  for (const char* command : kCommands) {
    const test::Outcome outcome = margay(std::string(command) + " --help");
    EXPECT_EQ(outcome.code, 0) << command;
    EXPECT_NE(outcome.out.find("Example"), std::string::npos) << command;
    EXPECT_NE(outcome.out.find(std::string("margay ") + command), std::string::npos) << command << ": no example of it";
    EXPECT_NE(outcome.out.find("--threads"), std::string::npos) << command;
    EXPECT_EQ(outcome.err, "") << command;
  }
}

TEST(CliUsage, Version) {
  const test::Outcome outcome = margay("--version");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(outcome.out.starts_with("margay ")) << outcome.out;
}

TEST(CliUsage, WrongUsageIsTwo) {
  expect_error(margay("frobnicate"), 2);
  expect_error(margay("inspect"), 2);
  expect_error(margay("inspect x.gguf y.gguf"), 2);
  expect_error(margay("inspect x.gguf --frobnicate"), 2);
  expect_error(margay("run x.gguf -p a -n many"), 2);
  expect_error(margay("run x.gguf -p a -t 0"), 2);
  expect_error(margay("convert x -o y.gguf --type q9_9"), 2);
}

TEST(CliUsage, MissingFileIsOne) {
  const std::string missing = "/no/such/model.gguf";
  for (const std::string& arguments :
       {"bench " + missing, "convert " + missing + " -o x.gguf", "inspect " + missing,
        "linearize " + missing + " -o x.gguf --data x.txt",
        "logits " + missing + " --tokens " + quoted(test::data("hf/tiny-llama3/golden.safetensors")) +
            " -o x.safetensors",
        "perplexity " + missing + " -f " + quoted(std::string(MARGAY_SOURCE) + "/LICENSE"),
        "quantize " + missing + " x.gguf q4_0", "report " + missing + " -f x.txt", "run " + missing + " -p a",
        "sample " + missing + " -o x.txt", "tokenize " + missing + " -p a"}) {
    SCOPED_TRACE(arguments);
    expect_error(margay(arguments), 1);
  }
}

TEST(CliUsage, ErrorsNameTheFile) {
  EXPECT_NE(margay("inspect /no/such/model.gguf").err.find("/no/such/model.gguf"), std::string::npos);
}

TEST(CliUsage, FolderInsteadOfFileIsOne) {
  const std::string folder = quoted(test::data("tokens"));
  for (const std::string& arguments :
       {"inspect " + folder, "run " + folder + " -p a", "quantize " + folder + " x.gguf q8_0",
        "convert " + folder + " -o x.gguf", "tokenize " + folder + " -p a"}) {
    SCOPED_TRACE(arguments);
    expect_error(margay(arguments), 1);
  }
}

}  // namespace
}  // namespace margay
