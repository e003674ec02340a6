// Protocol Buffers' wire format, read field by field, for files that are not trusted.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace margay {

// Reads one message. Everything stays within its bytes: lengths beyond them, broken numbers and groups throw Error
// naming `where`. Views last as long as the bytes.
class ProtobufReader {
 public:
  ProtobufReader(std::string_view message, std::string where) : rest_(message), where_(std::move(where)) {}

  // Goes to the next field, past the value of the last one; false at the end.
  bool next();
  uint32_t field() const { return field_; }

  // The field's value. Throws Error when it has another wire type.
  uint64_t integer() const;
  bool boolean() const { return integer() != 0; }
  float number() const;  // float32
  std::string_view bytes() const;

 private:
  enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  uint64_t varint();
  std::string_view take(uint64_t bytes);
  void expect(Wire wire) const;

  std::string_view rest_;
  std::string where_;
  uint32_t field_ = 0;
  Wire wire_ = kVarint;
  uint64_t integer_ = 0;
  std::string_view value_;
};

}  // namespace margay
