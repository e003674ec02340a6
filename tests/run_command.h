// Runs a command as a user's shell would and keeps what it wrote.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/test_data.h"

namespace margay::test {

struct Outcome {
  int code = -1;  // exit code; 128 + signal when killed
  std::string out, err;
};

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// `command` is for sh; its standard input is empty unless it redirects it.
inline Outcome run_command(const std::string& command) {
  const std::string base = scratch("command-" + std::to_string(getpid()));
  const std::string out = base + ".out", err = base + ".err";
  const int status = std::system(("{ " + command + " ; } >'" + out + "' 2>'" + err + "' </dev/null").c_str());
  Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(out), read_text(err)};
  std::remove(out.c_str());
  std::remove(err.c_str());
  return outcome;
}

}  // namespace margay::test
