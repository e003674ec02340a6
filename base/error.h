// The one exception type of margay. A message is one line: what, where (file, tensor, key), the numbers, what to do.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace margay {

// A mistake of the user's or of a file's: reported as one line, exit code 1. Our own mistakes are assertions.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

// Throws Error with a formatted message: fail("{}: tensor {} has {} elements, expected {}", file, name, n, m).
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

// fail() unless `condition`.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(format, std::forward<Args>(args)...);
}

}  // namespace margay
