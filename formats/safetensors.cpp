#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "formats/json.h"

namespace margay {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // bytes; the limit of the format's own library
constexpr size_t kMaxDimensions = 16;

struct TypeName {
  const char* name;  // as safetensors spells it
  DType dtype;
};
constexpr TypeName kTypes[] = {{"F32", DType::F32},        {"F16", DType::F16}, {"BF16", DType::BF16},
                               {"F64", DType::F64},        {"I64", DType::I64}, {"I32", DType::I32},
                               {"I16", DType::I16},        {"I8", DType::I8},   {"F8_E4M3", DType::F8_E4M3},
                               {"F8_E5M2", DType::F8_E5M2}};

const TypeName* find_type_name(std::string_view name) {
  for (const TypeName& row : kTypes)
    if (name == row.name) return &row;
  return nullptr;
}

const char* safetensors_name(DType dtype) {
  for (const TypeName& row : kTypes)
    if (dtype == row.dtype) return row.name;
  return nullptr;
}

uint64_t unsigned_number(const Json& value, const std::string& where) {
  require(value.is_number_unsigned(), "{}: holds {}, expected a number that is not negative", where, json_kind(value));
  return value.get<uint64_t>();
}

const Json& field(const Json& object, const char* name, Json::value_t kind, const std::string& where) {
  const auto found = object.find(name);
  require(found != object.end() && found->type() == kind, "{}: has no valid \"{}\"", where, name);
  return *found;
}

struct Range {
  uint64_t begin, end;
  std::string_view name;
};

// Offsets of a tensor in the data section.
Range read_range(const Json& info, uint64_t data_bytes, const std::string& where) {
  const Json& offsets = field(info, "data_offsets", Json::value_t::array, where);
  require(offsets.size() == 2, "{}: data_offsets has {} numbers, expected 2", where, offsets.size());
  const uint64_t begin = unsigned_number(offsets[0], where), end = unsigned_number(offsets[1], where);
  require(begin <= end && end <= data_bytes, "{}: data_offsets {} to {} of {} bytes (truncated or damaged file)", where,
          begin, end, data_bytes);
  return {begin, end, {}};
}

std::vector<int64_t> read_shape(const Json& info, const std::string& where) {
  const Json& shape = field(info, "shape", Json::value_t::array, where);
  require(shape.size() <= kMaxDimensions, "{}: {} dimensions, at most {} are allowed", where, shape.size(),
          kMaxDimensions);
  std::vector<int64_t> result;
  for (const Json& dimension : shape) {
    const uint64_t size = unsigned_number(dimension, where);
    require(size <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()), "{}: dimension {} is too large", where,
            size);
    result.push_back(static_cast<int64_t>(size));
  }
  return result;
}

void check_overlaps(std::vector<Range> ranges, const std::string& path) {
  std::erase_if(ranges, [](const Range& range) { return range.begin == range.end; });
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < ranges.size(); ++i)
    require(ranges[i - 1].end <= ranges[i].begin, "{}: tensors {} and {} overlap at offset {}", path,
            ranges[i - 1].name, ranges[i].name, ranges[i].begin);
}

}  // namespace

Safetensors::Safetensors(const std::string& path) : TensorTable(path), file_(path) {
  require(file_.size() >= 8, "{}: {} bytes, too short for a safetensors file", path, file_.size());
  uint64_t header_bytes;
  std::memcpy(&header_bytes, file_.data(), 8);
  require(header_bytes <= kMaxHeader && header_bytes <= file_.size() - 8,
          "{}: the header has {} bytes, the file {} (truncated, or not a safetensors file)", path, header_bytes,
          file_.size());
  const Json header = parse_json(file_.text().substr(8, header_bytes), path);
  require(header.is_object(), "{}: the header is {}, expected an object", path, json_kind(header));
  const std::byte* data = file_.data() + 8 + header_bytes;
  const uint64_t data_bytes = file_.size() - 8 - header_bytes;

  std::vector<Range> ranges;
  for (const auto& [name, info] : header.items()) {
    if (name == "__metadata__") {
      require(info.is_object(), "{}: __metadata__ is {}, expected an object", path, json_kind(info));
      for (const auto& [key, value] : info.items())
        if (value.is_string()) metadata_[key] = value.get<std::string>();
      continue;
    }
    const std::string where = path + ": tensor " + name;
    require(info.is_object(), "{}: is {}, expected an object", where, json_kind(info));
    Range range = read_range(info, data_bytes, where);
    range.name = name;
    ranges.push_back(range);
    const auto type_name = field(info, "dtype", Json::value_t::string, where).get<std::string>();
    std::vector<int64_t> shape = read_shape(info, where);
    const TypeName* type = find_type_name(type_name);
    if (!type) {
      add_unsupported(name, type_name);
      continue;
    }
    const uint64_t bytes = tensor_bytes(type->dtype, shape, where);
    require(bytes == range.end - range.begin, "{}: shape {} of {} needs {} bytes, the file has {}", where,
            shape_text(shape), type_name, bytes, range.end - range.begin);
    add({name, type->dtype, std::move(shape), data + range.begin, bytes});
  }
  check_overlaps(std::move(ranges), path);
}

void write_safetensors(const std::string& path, std::span<const TensorEntry> tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(path, tensors, metadata,
                    [&](size_t index, const TensorSink& sink) { sink(tensors[index].data, tensors[index].bytes); });
}

void write_safetensors(const std::string& path, std::span<const TensorEntry> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<void(size_t index, const TensorSink& sink)>& produce) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const TensorEntry& tensor : tensors) {
    const char* type = safetensors_name(tensor.dtype);
    require(type != nullptr, "{}: tensor {} has type {}, which safetensors cannot hold", path, tensor.name,
            type_name(tensor.dtype));
    require(names.insert(tensor.name).second, "{}: tensor {} is written twice", path, tensor.name);
    require(tensor_bytes(tensor.dtype, tensor.shape, tensor.name) == tensor.bytes,
            "{}: tensor {} of shape {} has {} bytes", path, tensor.name, shape_text(tensor.shape), tensor.bytes);
    header.push_back(
        {tensor.name, {{"dtype", type}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + tensor.bytes}}}});
    offset += tensor.bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begins 8-byte aligned
  const uint64_t header_bytes = text.size();

  AtomicFile file(path);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const uint64_t begin = file.position();
    produce(i, [&](const void* data, size_t bytes) { file.write(data, bytes); });
    require(file.position() - begin == tensors[i].bytes, "{}: tensor {} got {} bytes of {}", path, tensors[i].name,
            file.position() - begin, tensors[i].bytes);
  }
  file.commit();
}

}  // namespace margay
