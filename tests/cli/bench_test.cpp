// margay bench on small random models: rows, keys, files that can be kept and run.
#include <memory>
#include <sstream>

#include "tests/cli/program.h"

namespace margay {
namespace {

using test::expect_error;
using test::margay;
using test::one_object;
using test::quoted;

// Few tokens and one repeat: what is tested is what is printed, not how fast it is.
const std::string kSmall = " --synthetic base-16m --prompt 32 --depth 0,80 --batch 1,2 -n 4 --repeat 1 -t 1";

std::vector<nlohmann::json> objects(const test::Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  std::vector<nlohmann::json> rows;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    rows.push_back(nlohmann::json::parse(line, nullptr, false));
    EXPECT_TRUE(rows.back().is_object()) << line;
  }
  return rows;
}

void check_row(const nlohmann::json& row) {
  SCOPED_TRACE(row.dump());
  for (const char* key : {"tokens_per_second", "limit", "ratio", "read_bytes_per_second", "int8_per_second",
                          "float32_per_second", "weight_bytes", "decode_bytes", "state_bytes", "peak_bytes",
                          "load_seconds", "open_seconds", "batch", "threads"}) {
    ASSERT_TRUE(row.contains(key)) << key;
    EXPECT_GT(row[key].get<double>(), 0) << key;
  }
  EXPECT_NEAR(row["ratio"].get<double>() * row["limit"].get<double>() / row["tokens_per_second"].get<double>(), 1,
              1e-6);  // one repeat: medians are the values
}

TEST(CliBench, RowsOfASoftmaxModel) {
  const std::vector<nlohmann::json> rows = objects(margay("bench" + kSmall + " --type q8_0 --json"));
  ASSERT_EQ(rows.size(), 5u);  // a prompt, two batches at two depths
  for (const nlohmann::json& row : rows) check_row(row);
  EXPECT_EQ(rows[0]["test"], "prefill");
  EXPECT_EQ(rows[0]["limited_by"], "int8");
  EXPECT_EQ(rows[0]["tokens"], 32);
  EXPECT_EQ(rows[2]["test"], "decode");
  EXPECT_EQ(rows[2]["limited_by"], "read");
  EXPECT_EQ(rows[2]["tokens"], 80);
  EXPECT_EQ(rows[3]["batch"], 2);
  EXPECT_GT(rows[2]["state_bytes"], rows[1]["state_bytes"]) << "KV caches grow";
  // 15.7 million parameters in 34 bytes for 32, norms beside.
  EXPECT_NEAR(rows[0]["weight_bytes"].get<double>(), 15.73e6 * 34 / 32, 2e5);
}

TEST(CliBench, FloatModelsAreJudgedByTheFloatPeak) {
  const auto rows = objects(margay("bench --synthetic base-16m --type f16 --prompt 8 -n 2 --repeat 1 -t 1 --json"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["limited_by"], "float32");
}

TEST(CliBench, LinearizedStatesDoNotGrow) {
  const auto rows = objects(
      margay("bench --synthetic base-16m --linear --random-state --prompt 8 --depth 64,131072 -n 2 --repeat 1 -t 1 "
             "--json"));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1]["state_bytes"], rows[2]["state_bytes"]);
  EXPECT_EQ(rows[2]["tokens"], 131072);
}

TEST(CliBench, TablesNameTheLimits) {
  const test::Outcome outcome = margay("bench --synthetic base-16m --prompt 8 -n 2 --repeat 1 -t 1,2");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* word : {"prefill", "decode", "tokens/s", "limit", "ratio", "GB/s", "peak memory", "loaded in"})
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << " is not in\n" << outcome.out;
}

TEST(CliBench, WrittenModelsRun) {
  const test::ScratchFolder folder("bench");
  const std::string file = quoted(folder / "random.gguf");
  for (const char* kind : {"", " --linear"}) {
    SCOPED_TRACE(kind);
    objects(
        margay("bench --synthetic base-16m --type q4_0 --prompt 8 -n 2 --repeat 1 -t 1 --json --write " + file + kind));
    const nlohmann::json run = one_object(margay("run " + file + " -p 'abc def' -n 5 --seed 1 --ignore-eos --json"));
    EXPECT_EQ(run["generated_tokens"], 5);
    // "<|begin_of_text|>", "abc" and " def" are words of the made-up vocabulary, or two pieces each.
    EXPECT_GE(run["prompt_tokens"], 3);
    EXPECT_LE(run["prompt_tokens"], 5);
    const test::Outcome ids = margay("tokenize " + file + " --ids --no-special -p 'the wild cat'");
    EXPECT_EQ(margay("tokenize " + file + " --decode -p '" + ids.out + "'").out, "the wild cat");
    objects(margay("bench " + file + " --prompt 8 -n 2 --repeat 1 -t 1 --huge-pages --lock --json"));
  }
}

TEST(CliBench, WrongUsage) {
  expect_error(margay("bench"), 2);
  expect_error(margay("bench x.gguf --synthetic base-16m"), 2);
  expect_error(margay("bench x.gguf --write y.gguf"), 2);
  expect_error(margay("bench --synthetic base-17m"), 2);
  expect_error(margay("bench --synthetic base-16m --type q9_9"), 2);
  expect_error(margay("bench --synthetic base-16m --depth -1"), 2);
  expect_error(margay("bench /no/such/model.gguf"), 1);
}

}  // namespace
}  // namespace margay
