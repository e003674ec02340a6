// A folder includes only folders below it: cli > convert > {train, runtime} > models > ops > formats > base.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/structure/source_files.h"

namespace margay {
namespace {

const std::set<std::string> kAll = {"base",    "formats", "ops", "models", "train",
                                    "runtime", "convert", "cli", "tests",  "bench"};
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"formats", {"base"}},
    {"ops", {"base", "formats"}},
    {"models", {"base", "formats", "ops"}},
    {"train", {"base", "formats", "ops", "models"}},
    {"runtime", {"base", "formats", "ops", "models"}},
    {"convert", {"base", "formats", "ops", "models", "train", "runtime"}},
    {"cli", {"base", "formats", "ops", "models", "train", "runtime", "convert"}},
    {"tests", kAll},
    {"bench", kAll},
};

// The name between the quotes of `#include "..."`, else nothing.
std::string included(const std::string& line) {
  const size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string::npos || line[hash] != '#') return "";
  const size_t word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string::npos || line.compare(word, 7, "include") != 0) return "";
  const size_t begin = line.find('"', word + 7), end = begin == std::string::npos ? begin : line.find('"', begin + 1);
  return end == std::string::npos ? "" : line.substr(begin + 1, end - begin - 1);
}

TEST(Layers, FoldersIncludeOnlyFoldersBelow) {
  int seen = 0;
  for (const std::string& folder : test::kFolders) {
    const std::set<std::string>& below = kMayInclude.at(folder);
    for (const std::string& file : test::source_files(folder)) {
      int number = 0;
      for (const std::string& line : test::lines_of(file)) {
        ++number;
        const std::string name = included(line);
        if (name.empty()) continue;
        ++seen;
        EXPECT_NE(name.find('/'), std::string::npos) << file << ":" << number << ": " << name << " without its folder";
        const std::string other = name.substr(0, name.find('/'));
        EXPECT_TRUE(other == folder || below.contains(other))
            << file << ":" << number << ": " << folder << " may not include " << name;
      }
    }
  }
  EXPECT_GT(seen, 100) << "the includes were not found";
}

}  // namespace
}  // namespace margay
