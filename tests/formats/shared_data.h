// Archives of ../shared/data, unpacked.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "tests/test_data.h"

namespace margay::test {

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
