#include "formats/charsmap.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "formats/utf8.h"

namespace margay {
namespace {

static_assert(std::endian::native == std::endian::little, "the table's numbers are little-endian");

constexpr size_t kMaxKey = 256;  // bytes; a broken table has no end

// The parts of a unit of Darts' double array.
bool has_value(uint32_t unit) { return unit >> 8 & 1; }
uint32_t value(uint32_t unit) { return unit & 0x7fffffff; }
uint32_t label(uint32_t unit) { return unit & 0x800000ff; }
uint32_t offset(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

Charsmap::Charsmap(std::string_view blob, const std::string& where) : blob_(blob) {
  uint32_t bytes = 0;
  require(blob.size() >= sizeof bytes, "{}: a charsmap of {} bytes", where, blob.size());
  std::memcpy(&bytes, blob.data(), sizeof bytes);
  require(bytes > 0 && bytes % 4 == 0 && bytes <= blob.size() - sizeof bytes,
          "{}: a charsmap of {} bytes has a table of {} bytes", where, blob.size(), bytes);
  units_.resize(bytes / 4);
  std::memcpy(units_.data(), blob.data() + sizeof bytes, bytes);
  replacements_ = std::string_view(blob_).substr(sizeof bytes + bytes);
}

// A unit beyond the array reads as 0, whose label no byte but NUL has; a NUL leads nowhere.
Charsmap::Match Charsmap::longest_match(std::string_view text) const {
  Match match;
  uint64_t node = offset(unit(0));
  for (size_t i = 0; i < std::min(text.size(), kMaxKey); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    const uint32_t here = unit(node);
    if (byte == 0 || label(here) != byte) break;
    node ^= offset(here);
    if (has_value(here)) match = {i + 1, value(unit(node))};
  }
  return match;
}

std::string Charsmap::apply(std::string_view text, size_t limit) const {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Match match = longest_match(text);
    if (match.length == 0 || match.offset >= replacements_.size()) {
      const size_t length = utf8_step(text).length;
      out += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    const std::string_view rest = replacements_.substr(match.offset, limit + 1);
    out += rest.substr(0, rest.find('\0'));
    require(out.size() <= limit, "the tokenizer's charsmap makes more than {} bytes of a text", limit);
    text.remove_prefix(match.length);
  }
  // A broken table can cut a character in two.
  return is_utf8(out) ? out : repair_utf8(out);
}

}  // namespace margay
