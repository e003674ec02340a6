// GGUF files by hand, field by field: what a writer would refuse to write.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace margay::test {

class MadeGguf {
 public:
  template <class T>
  MadeGguf& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  MadeGguf& text(std::string_view value) {
    number<uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  MadeGguf& header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    bytes_ += "GGUF";
    return number(version).number(tensors).number(keys);
  }
  MadeGguf& tensor(std::string_view name, std::vector<uint64_t> ne, uint32_t type, uint64_t offset) {
    text(name).number(static_cast<uint32_t>(ne.size()));
    for (const uint64_t n : ne) number(n);
    return number(type).number(offset);
  }
  MadeGguf& zeros(size_t count) {
    bytes_.append(count, '\0');
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace margay::test
