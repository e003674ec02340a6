// Where the tests find their data. tests/data is committed; ../shared/data is not, and tests that want it skip without.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/file.h"

namespace margay::test {

// Path of a committed data file: data("hf/tiny-llama3").
inline std::string data(const std::string& name) { return std::string(MARGAY_TEST_DATA) + "/" + name; }

// A path in a scratch folder of this build.
inline std::string scratch(const std::string& name) {
  const std::string folder = std::string(MARGAY_BUILD) + "/test-scratch";
  (void)std::system(("mkdir -p '" + folder + "'").c_str());
  return folder + "/" + name;
}

// The folder an archive of ../shared/data unpacks to; empty when there is no such archive.
inline std::string unpacked(const std::string& name) {
  const std::string archive = std::string(MARGAY_SOURCE) + "/../shared/data/" + name + ".tar.xz";
  if (!file_exists(archive)) return {};
  const std::string folder = scratch(name);
  // Unpacked aside and then moved, as tests may run at the same time.
  const std::string aside = folder + "." + std::to_string(getpid());
  const std::string command = "mkdir -p '" + aside + "' && tar xJf '" + archive + "' -C '" + aside + "' && { mv -T '" +
                              aside + "' '" + folder + "' 2>/dev/null || rm -r '" + aside + "'; }";
  if (!is_directory(folder) && std::system(command.c_str()) != 0) return {};
  return folder;
}

}  // namespace margay::test
