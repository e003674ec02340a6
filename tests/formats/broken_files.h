// Files that are cut, flipped or lie: each must load or throw Error. Run the tests with the sanitizers too.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <string_view>

#include "base/error.h"
#include "formats/tensor_entry.h"
#include "tests/peak_growth.h"

namespace margay::test {

// Not AtomicFile: thousands of files need no fsync. A new file each time, as some file systems flush one that is
// truncated and written again.
inline void put(const std::string& path, std::string_view bytes) {
  std::remove(path.c_str());
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Reads everything a file offers, so that a bad view is touched.
inline uint64_t touch(const std::vector<TensorEntry>& tensors) {
  uint64_t sum = 0;
  for (const TensorEntry& tensor : tensors)
    for (uint64_t i = 0; i < tensor.bytes; ++i) sum += std::to_integer<uint8_t>(tensor.data[i]);
  return sum;
}

// `read` of each variant of `good` loads or throws Error, and memory stays bounded.
inline void survives(const std::string& path, const std::string& good, int flips, const std::function<void()>& read) {
  put(path, good);
  ASSERT_NO_THROW(read());
  const PeakGrowth growth;
  const auto attempt = [&](const std::string& bytes) {
    put(path, bytes);
    try {
      read();
    } catch (const Error&) {
    }
  };
  const size_t step = std::max<size_t>(1, good.size() / 1500);
  for (size_t length = 0; length < good.size(); length += step) attempt(good.substr(0, length));
  std::mt19937 random(12345);
  for (int i = 0; i < flips; ++i) {
    std::string bytes = good;
    // One flipped bit; or a few bytes overwritten by extreme values.
    const size_t place = random() % bytes.size();
    if (i % 3) {
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << random() % 8));
    } else {
      static constexpr char kExtremes[] = {'\0', '\1', '\x7f', '\x80', '\xff'};
      const char value = kExtremes[random() % 5];
      for (size_t k = place; k < std::min(bytes.size(), place + 1 + random() % 8); ++k) bytes[k] = value;
    }
    attempt(bytes);
  }
  growth.expect_below(64);
}

}  // namespace margay::test
