// Files: aim at 250 lines, think again at 400, never past 600.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/structure/source_files.h"

namespace margay {
namespace {

TEST(FileLength, AtMost600Lines) {
  for (const std::string& folder : test::kFolders)
    for (const std::string& file : test::source_files(folder)) {
      const size_t lines = test::lines_of(file).size();
      EXPECT_LE(lines, 600u) << file << ": split it";
      if (lines > 400 && lines <= 600) std::printf("[   NOTE   ] %s has %zu lines: think again\n", file.c_str(), lines);
    }
}

}  // namespace
}  // namespace margay
