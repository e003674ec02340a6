// Where the tests find their data. tests/data is committed; ../shared/data is not, and tests that want it skip without.
#pragma once
#include <cstdlib>
#include <string>

namespace margay::test {

// Path of a committed data file: data("hf/tiny-llama3").
inline std::string data(const std::string& name) { return std::string(MARGAY_TEST_DATA) + "/" + name; }

// A path in a scratch folder of this build.
inline std::string scratch(const std::string& name) {
  const std::string folder = std::string(MARGAY_BUILD) + "/test-scratch";
  (void)std::system(("mkdir -p '" + folder + "'").c_str());
  return folder + "/" + name;
}

}  // namespace margay::test
