#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "formats/gguf.h"

namespace margay {
namespace {

constexpr uint32_t kMagic = 0x46554747, kVersion = 3;
constexpr size_t kMaxTensorName = 63;  // other GGUF programs keep names in 64 bytes
constexpr uint64_t kMaxAlignment = 1 << 20;

template <class T>
void append(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void append_string(std::string& out, std::string_view text) {
  append(out, static_cast<uint64_t>(text.size()));
  out += text;
}

template <class T>
GgufValue scalar(GgufType type, T value) {
  GgufValue result{type, {}};
  append(result.payload, value);
  return result;
}

uint64_t round_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

}  // namespace

GgufValue GgufValue::of(bool value) { return scalar<uint8_t>(GgufType::Bool, value ? 1 : 0); }
GgufValue GgufValue::of(uint8_t value) { return scalar(GgufType::U8, value); }
GgufValue GgufValue::of(int8_t value) { return scalar(GgufType::I8, value); }
GgufValue GgufValue::of(uint16_t value) { return scalar(GgufType::U16, value); }
GgufValue GgufValue::of(int16_t value) { return scalar(GgufType::I16, value); }
GgufValue GgufValue::of(uint32_t value) { return scalar(GgufType::U32, value); }
GgufValue GgufValue::of(int32_t value) { return scalar(GgufType::I32, value); }
GgufValue GgufValue::of(uint64_t value) { return scalar(GgufType::U64, value); }
GgufValue GgufValue::of(int64_t value) { return scalar(GgufType::I64, value); }
GgufValue GgufValue::of(float value) { return scalar(GgufType::F32, value); }
GgufValue GgufValue::of(double value) { return scalar(GgufType::F64, value); }

GgufValue GgufValue::of(std::string_view value) {
  GgufValue result{GgufType::String, {}};
  append_string(result.payload, value);
  return result;
}

GgufValue GgufValue::of(const std::vector<bool>& values) {
  GgufValue result{GgufType::Array, {}};
  append(result.payload, static_cast<uint32_t>(GgufType::Bool));
  append(result.payload, static_cast<uint64_t>(values.size()));
  for (const bool value : values) result.payload += value ? '\1' : '\0';
  return result;
}

GgufValue GgufValue::array(GgufType element, const std::vector<GgufValue>& elements) {
  GgufValue result{GgufType::Array, {}};
  append(result.payload, static_cast<uint32_t>(element));
  append(result.payload, static_cast<uint64_t>(elements.size()));
  for (const GgufValue& value : elements) {
    require(value.type == element, "GGUF array of {}: an element is of type {}", gguf_type_name(element),
            gguf_type_name(value.type));
    result.payload += value.payload;
  }
  return result;
}

void GgufWriter::set(const std::string& key, GgufValue value) {
  require(!key.empty() && key.size() <= 65535, "GGUF key of {} bytes, expected 1 to 65535", key.size());
  if (key == "general.alignment") {
    require(value.type == GgufType::U32, "general.alignment must be u32, is {}", gguf_type_name(value.type));
    uint32_t alignment;
    std::memcpy(&alignment, value.payload.data(), sizeof alignment);
    require(std::has_single_bit(alignment) && alignment <= kMaxAlignment && alignment >= 8,
            "general.alignment is {}, expected a power of two from 8 to {}", alignment, kMaxAlignment);
    alignment_ = alignment;
  }
  for (auto& [name, old] : metadata_) {
    if (name != key) continue;
    old = std::move(value);
    return;
  }
  metadata_.emplace_back(key, std::move(value));
}

bool GgufWriter::has(std::string_view key) const {
  return std::any_of(metadata_.begin(), metadata_.end(), [&](const auto& entry) { return entry.first == key; });
}

void GgufWriter::erase(std::string_view key) {
  std::erase_if(metadata_, [&](const auto& entry) { return entry.first == key; });
  if (key == "general.alignment") alignment_ = 32;
}

void GgufWriter::copy_metadata(const GgufFile& file, const std::function<bool(std::string_view key)>& keep) {
  for (const GgufMetadata& entry : file.metadata()) {
    if (!keep(entry.key)) continue;
    const auto* bytes = reinterpret_cast<const char*>(entry.payload.data());
    set(std::string(entry.key), GgufValue{entry.type, std::string(bytes, entry.payload.size())});
  }
}

size_t GgufWriter::add_tensor(const std::string& name, DType dtype, const std::vector<int64_t>& shape) {
  require(!name.empty() && name.size() <= kMaxTensorName, "tensor {}: its name has {} bytes, GGUF allows 1 to {}", name,
          name.size(), kMaxTensorName);
  require(!shape.empty() && shape.size() <= 4, "tensor {}: {} dimensions, GGUF allows 1 to 4", name, shape.size());
  require(static_cast<int32_t>(dtype) < static_cast<int32_t>(DType::Q8_ACT), "tensor {}: type {} cannot be in a file",
          name, type_name(dtype));
  TensorEntry entry{name, dtype, shape, nullptr, tensor_bytes(dtype, shape, "tensor " + name)};
  require(tensor_index_.emplace(name, tensors_.size()).second, "tensor {} is written twice", name);
  tensors_.push_back(std::move(entry));
  return tensors_.size() - 1;
}

uint64_t GgufWriter::data_bytes() const {
  uint64_t total = 0;
  for (const TensorEntry& tensor : tensors_) total += round_up(tensor.bytes, alignment_);
  return total;
}

void GgufWriter::write(const std::string& path, const Producer& produce) const {
  AtomicFile file(path);
  stream([&](const void* data, size_t bytes) { file.write(data, bytes); }, path, produce);
  file.commit();
}

void GgufWriter::stream(const Sink& out, const std::string& where, const Producer& produce) const {
  std::string header;
  append(header, kMagic);
  append(header, kVersion);
  append(header, static_cast<uint64_t>(tensors_.size()));
  append(header, static_cast<uint64_t>(metadata_.size()));
  for (const auto& [key, value] : metadata_) {
    append_string(header, key);
    append(header, static_cast<uint32_t>(value.type));
    header += value.payload;
  }
  uint64_t offset = 0;
  for (const TensorEntry& tensor : tensors_) {
    append_string(header, tensor.name);
    append(header, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) append(header, tensor.shape[i]);
    append(header, static_cast<int32_t>(tensor.dtype));
    append(header, offset);
    offset += round_up(tensor.bytes, alignment_);
  }

  uint64_t position = 0;
  const auto put = [&](const void* data, uint64_t bytes) {
    out(data, bytes);
    position += bytes;
  };
  const auto pad = [&] {
    const std::string zeros(round_up(position, alignment_) - position, '\0');
    if (!zeros.empty()) put(zeros.data(), zeros.size());
  };
  put(header.data(), header.size());
  pad();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const TensorEntry& tensor = tensors_[i];
    uint64_t written = 0;
    produce(i, [&](const void* data, size_t bytes) {
      require(bytes <= tensor.bytes - written, "{}: tensor {} has {} bytes, more were given", where, tensor.name,
              tensor.bytes);
      put(data, bytes);
      written += bytes;
    });
    require(written == tensor.bytes, "{}: tensor {} has {} bytes, only {} were given", where, tensor.name, tensor.bytes,
            written);
    pad();
  }
}

}  // namespace margay
