#include "formats/protobuf.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace margay {

static_assert(std::endian::native == std::endian::little, "the wire format's numbers are little-endian");

uint64_t ProtobufReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(take(1)[0]);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  fail("{}: a number goes on for more than 10 bytes", where_);
}

std::string_view ProtobufReader::take(uint64_t bytes) {
  require(bytes <= rest_.size(), "{}: ends within a value ({} bytes wanted, {} are left)", where_, bytes, rest_.size());
  const std::string_view taken = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return taken;
}

bool ProtobufReader::next() {
  if (rest_.empty()) return false;
  const uint64_t key = varint();
  require(key >> 3 != 0 && key >> 32 == 0, "{}: a field has number {}", where_, key >> 3);
  field_ = static_cast<uint32_t>(key >> 3);
  wire_ = static_cast<Wire>(key & 7);
  switch (wire_) {
    case kVarint:
      integer_ = varint();
      return true;
    case kFixed64:
      value_ = take(8);
      return true;
    case kBytes:
      value_ = take(varint());
      return true;
    case kFixed32:
      value_ = take(4);
      return true;
  }
  fail("{}: field {} has wire type {}, which is not supported", where_, field_, key & 7);
}

void ProtobufReader::expect(Wire wire) const {
  require(wire_ == wire, "{}: field {} has wire type {}, expected {}", where_, field_, static_cast<uint32_t>(wire_),
          static_cast<uint32_t>(wire));
}

uint64_t ProtobufReader::integer() const {
  expect(kVarint);
  return integer_;
}

float ProtobufReader::number() const {
  expect(kFixed32);
  float value = 0;
  std::memcpy(&value, value_.data(), sizeof value);
  return value;
}

std::string_view ProtobufReader::bytes() const {
  expect(kBytes);
  return value_;
}

}  // namespace margay
