// The project's own source files, for the tests of its structure.
#pragma once
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace margay::test {

// Folders that hold code, from the floor up.
inline const std::vector<std::string> kFolders = {"base",    "formats", "ops", "models", "train",
                                                  "runtime", "convert", "cli", "tests",  "bench"};

// All .cpp, .h, .cu and .def files of a folder, relative to the project's root, sorted.
inline std::vector<std::string> source_files(const std::string& folder) {
  namespace fs = std::filesystem;
  const fs::path root = MARGAY_SOURCE;
  std::vector<std::string> files;
  if (!fs::is_directory(root / folder)) return files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
    const std::string extension = entry.path().extension();
    if (entry.is_regular_file() &&
        (extension == ".cpp" || extension == ".h" || extension == ".cu" || extension == ".def"))
      files.push_back(fs::relative(entry.path(), root));
  }
  std::sort(files.begin(), files.end());
  return files;
}

inline std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream in(std::filesystem::path(MARGAY_SOURCE) / file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace margay::test
