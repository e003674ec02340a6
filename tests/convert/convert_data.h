// What the tests of convert/ share.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "ops/quant/convert.h"
#include "tests/test_data.h"

namespace margay::test {

// Silences the progress lines while it lives; nests.
struct Quiet {
  Quiet() { set_progress_quiet(++depth > 0); }
  ~Quiet() { set_progress_quiet(--depth > 0); }
  static inline int depth = 0;
};

// The message of the Error that `work` throws; a test failure when it throws none.
inline std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

#define EXPECT_ERROR(work, part)                                                          \
  do {                                                                                    \
    const std::string message_ = ::margay::test::error_of([&] { work; });                 \
    EXPECT_NE(message_.find(part), std::string::npos) << message_ << "\nwants: " << part; \
  } while (0)

// Elements of a tensor of any type as float32.
inline std::vector<float> values(const TensorEntry& tensor) {
  std::vector<float> result(static_cast<size_t>(tensor.elements()));
  std::vector<std::byte> aligned(tensor.data, tensor.data + tensor.bytes);
  dequantize_row(tensor.dtype, aligned.data(), result.data(), tensor.elements());
  return result;
}

// A fresh copy of tests/data/hf/tiny-llama3 to damage.
inline std::string tiny_llama_copy(const std::string& name) {
  const std::string folder = scratch(name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const auto& entry : std::filesystem::directory_iterator(data("hf/tiny-llama3"))) {
    std::filesystem::copy(entry.path(), folder / entry.path().filename());
    std::filesystem::permissions(folder / entry.path().filename(), std::filesystem::perms::owner_all);
  }
  return folder;
}

}  // namespace margay::test
