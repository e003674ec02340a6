// The built program, run as a user would.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/run_command.h"

namespace margay::test {

inline std::string quoted(const std::string& path) { return "'" + path + "'"; }

// `arguments` as they would be typed.
inline Outcome margay(const std::string& arguments) {
  return run_command(quoted(std::string(MARGAY_BUILD) + "/margay") + " " + arguments);
}

// Exit code, nothing on standard output, and one line that says what is wrong.
inline void expect_error(const Outcome& outcome, int code) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(outcome.err.starts_with("margay: ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

// The one JSON object that --json writes on a line of its own.
inline nlohmann::json one_object(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
  nlohmann::json json = nlohmann::json::parse(outcome.out, nullptr, false);
  EXPECT_TRUE(json.is_object()) << outcome.out;
  return json;
}

// A folder of this process's own, empty at first, gone at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name) : path_(scratch(name + "-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace margay::test
