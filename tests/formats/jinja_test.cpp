// Jinja: each construct with the answer that Jinja itself gives (tests/data/jinja/make_golden.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/jinja/template.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using jinja::Template;

// Friday, 26 July 2024, 13:05:09.
std::tm fixed_time() {
  std::tm time = {};
  time.tm_year = 124;
  time.tm_mon = 6;
  time.tm_mday = 26;
  time.tm_wday = 5;
  time.tm_yday = 207;
  time.tm_hour = 13;
  time.tm_min = 5;
  time.tm_sec = 9;
  return time;
}

std::string render(const std::string& text, const Template::Variables& variables = {}) {
  return Template(text, "t").render(variables, fixed_time);
}

std::string error_of(const std::string& text) {
  try {
    render(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Jinja, GivesJinjasAnswers) {
  std::ifstream lines(test::data("jinja/golden.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  Template::Variables variables;
  const auto header = nlohmann::ordered_json::parse(line);
  for (const auto& [name, value] : header["variables"].items()) variables.emplace_back(name, value);
  int texts = 0, errors = 0;
  while (std::getline(lines, line)) {
    const auto row = nlohmann::ordered_json::parse(line);
    const std::string text = row["template"];
    SCOPED_TRACE(text);
    if (row.contains("error")) {
      EXPECT_THROW(render(text, variables), Error) << row["error"];
      ++errors;
      continue;
    }
    try {
      EXPECT_EQ(render(text, variables), row["expected"].get<std::string>());
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
    ++texts;
  }
  EXPECT_GT(texts, 70);
  EXPECT_GT(errors, 70);
}

TEST(Jinja, ErrorsSayTemplateLineAndWhat) {
  EXPECT_EQ(error_of("a\n{{ x.y }}"), "t: line 2: 'x' is undefined");
  EXPECT_EQ(error_of("\n\n{{ x | frobnicate }}"), "t: line 3: unknown filter 'frobnicate'");
  EXPECT_EQ(error_of("{{ x is frobnicate }}"), "t: line 1: unknown test 'frobnicate'");
  EXPECT_EQ(error_of("{{ frobnicate(1) }}"), "t: line 1: 'frobnicate' is undefined");
  EXPECT_EQ(error_of("\n{% frobnicate %}"), "t: line 2: unknown tag 'frobnicate'");
  EXPECT_EQ(error_of("{% include 'x' %}"), "t: line 1: the tag 'include' is not there for chat templates");
  EXPECT_EQ(error_of("{{ raise_exception('no\nsystem role') }}"), "t: line 1: the template refuses: no system role");
  EXPECT_EQ(error_of("{{ [].append(1) }}"), "t: line 1: 'append' would change a list: templates cannot");
  EXPECT_EQ(error_of("{{ 1\n + 'a' }}"), "t: line 2: an integer + a string makes no sense");
  EXPECT_EQ(error_of("{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}\n\n{{ m() }}"), "t: line 2: division by zero");
  EXPECT_EQ(error_of("\n{% if x %}"), "t: line 2: the template ends where {% endif %} is missing");
  EXPECT_EQ(error_of("\xff"), "t: is not valid UTF-8");
}

TEST(Jinja, UnknownFiltersInBranchesAreErrorsWhereTheyAreEvaluated) {
  EXPECT_EQ(render("{% if no %}{{ x | frobnicate }}{% endif %}fine"), "fine");
  EXPECT_EQ(error_of("{% if true %}\n{{ x | frobnicate }}{% endif %}"), "t: line 2: unknown filter 'frobnicate'");
}

TEST(Jinja, KeysKeepTheirOrder) {
  const auto tool = nlohmann::ordered_json::parse(R"({"z": 1, "a": {"y": 2, "b": 3}})");
  EXPECT_EQ(render("{{ tool | tojson }}", {{"tool", tool}}), R"({"z": 1, "a": {"y": 2, "b": 3}})");
}

}  // namespace
}  // namespace margay
