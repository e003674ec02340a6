// Typed access to the metadata of a GGUF file. The structure of every payload was checked on opening.
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "formats/gguf.h"

namespace margay {
namespace {

constexpr size_t kArrayHeader = 12;  // element type and count

template <class T>
T load(const std::byte* source) {
  T value;
  std::memcpy(&value, source, sizeof(T));
  return value;
}

// Calls visit(value) with the scalar at `source` as its C++ type; returns the bytes it takes, 0 for non-scalars.
template <class Visit>
size_t visit_scalar(GgufType type, const std::byte* source, Visit visit) {
  const auto as = [&]<class T>(T) {
    visit(load<T>(source));
    return sizeof(T);
  };
  switch (type) {
    case GgufType::U8:
    case GgufType::Bool:
      return as(uint8_t{});
    case GgufType::I8:
      return as(int8_t{});
    case GgufType::U16:
      return as(uint16_t{});
    case GgufType::I16:
      return as(int16_t{});
    case GgufType::U32:
      return as(uint32_t{});
    case GgufType::I32:
      return as(int32_t{});
    case GgufType::U64:
      return as(uint64_t{});
    case GgufType::I64:
      return as(int64_t{});
    case GgufType::F32:
      return as(float{});
    case GgufType::F64:
      return as(double{});
    default:
      return 0;
  }
}

bool is_float(GgufType type) { return type == GgufType::F32 || type == GgufType::F64; }

bool is_integer(GgufType type) {
  return type != GgufType::Bool && type != GgufType::String && type != GgufType::Array && !is_float(type);
}

std::string_view load_string(const std::byte* source) {
  return {reinterpret_cast<const char*>(source + 8), load<uint64_t>(source)};
}

[[noreturn]] void wrong_type(const GgufFile& file, const GgufMetadata& entry, const char* expected) {
  if (entry.type == GgufType::Array)
    fail("{}: key {} is an array of {}, expected {}", file.path(), entry.key, gguf_type_name(entry.element), expected);
  fail("{}: key {} is of type {}, expected {}", file.path(), entry.key, gguf_type_name(entry.type), expected);
}

// A scalar integer or an error: u64 beyond int64 has no use in any model.
int64_t checked_integer(const GgufFile& file, const GgufMetadata& entry, GgufType type, const std::byte* source) {
  int64_t result = 0;
  bool fits = true;
  visit_scalar(type, source, [&](auto value) {
    if constexpr (std::is_same_v<decltype(value), uint64_t>)
      fits = value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    result = static_cast<int64_t>(value);
  });
  require(fits, "{}: key {} holds {}, which is too large", file.path(), entry.key, load<uint64_t>(source));
  return result;
}

bool checked_bool(const GgufFile& file, const GgufMetadata& entry, const std::byte* source) {
  const auto value = load<uint8_t>(source);
  require(value <= 1, "{}: key {} holds {} as a bool, expected 0 or 1", file.path(), entry.key, value);
  return value != 0;
}

std::string quoted(std::string_view text) {
  constexpr size_t kLimit = 200;
  std::string result = "\"";
  for (const char c : text.substr(0, kLimit)) {
    if (c == '\n') result += "\\n";
    else if (c == '"' || c == '\\') result += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else result += c;
  }
  return result + (text.size() > kLimit ? fmt::format("\"... ({} bytes)", text.size()) : "\"");
}

// Text of the value at `source`; advances it past the value.
std::string value_text(GgufType type, const std::byte*& source, size_t limit) {
  if (type == GgufType::String) {
    const std::string_view text = load_string(source);
    source += 8 + text.size();
    return quoted(text);
  }
  if (type == GgufType::Array) {
    const auto element = static_cast<GgufType>(load<uint32_t>(source));
    const auto count = load<uint64_t>(source + 4);
    source += kArrayHeader;
    std::string result = "[";
    for (uint64_t i = 0; i < count; ++i) {
      const std::string text = value_text(element, source, i < limit ? limit : 0);
      if (i < limit) result += (i ? ", " : "") + text;
    }
    return result + (count > limit ? fmt::format(", ... {} in all]", count) : "]");
  }
  std::string result;
  source += visit_scalar(type, source, [&](auto value) {
    if (type == GgufType::Bool) result = value != 0 ? "true" : "false";
    else result = fmt::format("{}", value);
  });
  return result;
}

}  // namespace

std::string gguf_value_text(const GgufMetadata& entry, size_t limit) {
  const std::byte* source = entry.payload.data();
  return value_text(entry.type, source, limit);
}

const GgufMetadata& GgufFile::entry(std::string_view key) const {
  const GgufMetadata* found = find_metadata(key);
  require(found != nullptr, "{}: has no key {}", path(), key);
  return *found;
}

const GgufMetadata& GgufFile::array(std::string_view key) const {
  const GgufMetadata& found = entry(key);
  if (found.type != GgufType::Array) wrong_type(*this, found, "an array");
  return found;
}

std::string_view GgufFile::string(std::string_view key) const {
  const GgufMetadata& found = entry(key);
  if (found.type != GgufType::String) wrong_type(*this, found, "string");
  return load_string(found.payload.data());
}

uint64_t GgufFile::u64(std::string_view key) const {
  const GgufMetadata& found = entry(key);
  if (!is_integer(found.type)) wrong_type(*this, found, "an integer");
  if (found.type == GgufType::U64) return load<uint64_t>(found.payload.data());
  const int64_t value = checked_integer(*this, found, found.type, found.payload.data());
  require(value >= 0, "{}: key {} is {}, expected a number that is not negative", path(), key, value);
  return static_cast<uint64_t>(value);
}

double GgufFile::f64(std::string_view key) const {
  const GgufMetadata& found = entry(key);
  if (!is_integer(found.type) && !is_float(found.type)) wrong_type(*this, found, "a number");
  double result = 0;
  visit_scalar(found.type, found.payload.data(), [&](auto value) { result = static_cast<double>(value); });
  require(std::isfinite(result), "{}: key {} is {}, expected a finite number", path(), key, result);
  return result;
}

bool GgufFile::boolean(std::string_view key) const {
  const GgufMetadata& found = entry(key);
  if (found.type != GgufType::Bool) wrong_type(*this, found, "bool");
  return checked_bool(*this, found, found.payload.data());
}

std::vector<std::string_view> GgufFile::strings(std::string_view key) const {
  const GgufMetadata& found = array(key);
  if (found.element != GgufType::String) wrong_type(*this, found, "an array of strings");
  std::vector<std::string_view> result(found.count);
  const std::byte* source = found.payload.data() + kArrayHeader;
  for (std::string_view& text : result) {
    text = load_string(source);
    source += 8 + text.size();
  }
  return result;
}

std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  const GgufMetadata& found = array(key);
  if (!is_integer(found.element)) wrong_type(*this, found, "an array of integers");
  std::vector<int64_t> result(found.count);
  const std::byte* source = found.payload.data() + kArrayHeader;
  for (int64_t& value : result) {
    value = checked_integer(*this, found, found.element, source);
    source += visit_scalar(found.element, source, [](auto) {});
  }
  return result;
}

std::vector<float> GgufFile::floats(std::string_view key) const {
  const GgufMetadata& found = array(key);
  if (!is_float(found.element)) wrong_type(*this, found, "an array of f32 or f64");
  std::vector<float> result(found.count);
  const std::byte* source = found.payload.data() + kArrayHeader;
  for (float& value : result)
    source += visit_scalar(found.element, source, [&](auto number) { value = static_cast<float>(number); });
  return result;
}

std::vector<bool> GgufFile::booleans(std::string_view key) const {
  const GgufMetadata& found = array(key);
  if (found.element != GgufType::Bool) wrong_type(*this, found, "an array of bool");
  std::vector<bool> result(found.count);
  for (uint64_t i = 0; i < found.count; ++i)
    result[i] = checked_bool(*this, found, found.payload.data() + kArrayHeader + i);
  return result;
}

std::string_view GgufFile::string_or(std::string_view key, std::string_view otherwise) const {
  return has(key) ? string(key) : otherwise;
}
uint64_t GgufFile::u64_or(std::string_view key, uint64_t otherwise) const { return has(key) ? u64(key) : otherwise; }
double GgufFile::f64_or(std::string_view key, double otherwise) const { return has(key) ? f64(key) : otherwise; }
bool GgufFile::boolean_or(std::string_view key, bool otherwise) const { return has(key) ? boolean(key) : otherwise; }
std::vector<std::string_view> GgufFile::strings_or(std::string_view key,
                                                   std::vector<std::string_view> otherwise) const {
  return has(key) ? strings(key) : std::move(otherwise);
}
std::vector<int64_t> GgufFile::integers_or(std::string_view key, std::vector<int64_t> otherwise) const {
  return has(key) ? integers(key) : std::move(otherwise);
}
std::vector<float> GgufFile::floats_or(std::string_view key, std::vector<float> otherwise) const {
  return has(key) ? floats(key) : std::move(otherwise);
}
std::vector<bool> GgufFile::booleans_or(std::string_view key, std::vector<bool> otherwise) const {
  return has(key) ? booleans(key) : std::move(otherwise);
}

}  // namespace margay
