// Opening a GGUF file: one pass over the header that trusts no number in it.
#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "base/error.h"

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

namespace margay {
namespace {

constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr int kMaxArrayDepth = 8;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMaxParts = 9999;  // of a split model

// Bytes of a scalar; 0 for strings and arrays.
uint64_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::U8:
    case GgufType::I8:
    case GgufType::Bool:
      return 1;
    case GgufType::U16:
    case GgufType::I16:
      return 2;
    case GgufType::U32:
    case GgufType::I32:
    case GgufType::F32:
      return 4;
    case GgufType::U64:
    case GgufType::I64:
    case GgufType::F64:
      return 8;
    default:
      return 0;
  }
}

// A place in the mapped file. Every read is checked against the bytes that remain.
class Cursor {
 public:
  explicit Cursor(const MappedFile& file) : file_(file) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return file_.size() - position_; }
  const std::byte* here() const { return file_.data() + position_; }

  void skip(uint64_t bytes, std::string_view what) {
    require(bytes <= remaining(), "{}: {} at byte {} needs {} bytes, {} remain (truncated or damaged file)",
            file_.path(), what, position_, bytes, remaining());
    position_ += bytes;
  }

  template <class T>
  T read(std::string_view what) {
    const std::byte* source = here();
    skip(sizeof(T), what);
    T value;
    std::memcpy(&value, source, sizeof(T));
    return value;
  }

  std::string_view string(std::string_view what) {
    const uint64_t length = read<uint64_t>(what);
    const std::byte* source = here();
    skip(length, what);
    return {reinterpret_cast<const char*>(source), length};
  }

  GgufType type(std::string_view what) {
    const uint32_t id = read<uint32_t>(what);
    require(id <= static_cast<uint32_t>(GgufType::F64), "{}: {} has unknown type {}", file_.path(), what, id);
    return static_cast<GgufType>(id);
  }

  // Walks over a value without keeping it.
  void skip_value(GgufType type, std::string_view what, int depth = 0) {
    if (type == GgufType::String) {
      string(what);
    } else if (type == GgufType::Array) {
      require(depth < kMaxArrayDepth, "{}: {} nests arrays deeper than {}", file_.path(), what, kMaxArrayDepth);
      const GgufType element = this->type(what);
      skip_elements(element, read<uint64_t>(what), what, depth + 1);
    } else {
      skip(scalar_bytes(type), what);
    }
  }

 private:
  void skip_elements(GgufType element, uint64_t count, std::string_view what, int depth) {
    // The least an element takes: itself, a string's length, an array's type and count.
    const uint64_t least = element == GgufType::String ? 8 : element == GgufType::Array ? 12 : scalar_bytes(element);
    require(count <= remaining() / least, "{}: {} announces {} elements, {} bytes remain (truncated or damaged file)",
            file_.path(), what, count, remaining());
    if (scalar_bytes(element)) {
      skip(count * least, what);
    } else {
      for (uint64_t i = 0; i < count; ++i) skip_value(element, what, depth);
    }
  }

  const MappedFile& file_;
  uint64_t position_ = 0;
};

uint32_t read_version(Cursor& cursor, const std::string& path) {
  const auto magic = cursor.read<uint32_t>("the magic");
  require(magic == 0x46554747, "{}: not a GGUF file (it does not begin with GGUF)", path);
  const auto version = cursor.read<uint32_t>("the version");
  require(version != 0 && (version & 0xffff) != 0, "{}: big-endian GGUF is not supported", path);
  require(version != 1, "{}: GGUF version 1 is not supported; write it anew as version 3", path);
  require(version == 2 || version == 3, "{}: GGUF version {} is not supported (2 and 3 are)", path, version);
  return version;
}

GgufMetadata read_metadata(Cursor& cursor) {
  GgufMetadata entry;
  entry.key = cursor.string("a metadata key");
  entry.type = cursor.type(entry.key);
  const std::byte* start = cursor.here();
  const uint64_t position = cursor.position();
  if (entry.type == GgufType::Array && cursor.remaining() >= 12) {
    uint32_t element;
    std::memcpy(&element, start, 4);
    std::memcpy(&entry.count, start + 4, 8);
    entry.element = static_cast<GgufType>(element);  // skip_value() refuses an unknown one
  }
  cursor.skip_value(entry.type, entry.key);
  entry.payload = {start, cursor.position() - position};
  return entry;
}

struct TensorPlace {
  TensorEntry entry;
  std::string_view name;
  uint64_t offset = 0;  // from the start of the data section
};

TensorPlace read_tensor_info(Cursor& cursor, const std::string& path) {
  TensorPlace place;
  place.name = cursor.string("a tensor name");
  place.entry.name = place.name;
  const std::string& name = place.entry.name;
  require(!name.empty(), "{}: a tensor has no name", path);
  const auto dimensions = cursor.read<uint32_t>(name);
  require(dimensions <= kMaxDimensions, "{}: tensor {} has {} dimensions, at most {} are allowed", path, name,
          dimensions, kMaxDimensions);
  place.entry.shape.resize(dimensions);
  for (uint32_t i = dimensions; i-- > 0;) place.entry.shape[i] = cursor.read<int64_t>(name);
  const auto type = cursor.read<int32_t>(name);
  require(find_type(static_cast<DType>(type)) != nullptr && type < static_cast<int32_t>(DType::Q8_ACT),
          "{}: tensor {} has type {}, which margay does not know", path, name, type);
  place.entry.dtype = static_cast<DType>(type);
  place.offset = cursor.read<uint64_t>(name);
  place.entry.bytes = tensor_bytes(place.entry.dtype, place.entry.shape, path + ": tensor " + name);
  return place;
}

// Points the tensors into the data section [start, start + size), after checking that they lie in it and apart.
void place_tensors(std::vector<TensorPlace>& places, const MappedFile& file, uint64_t start, uint64_t alignment) {
  const uint64_t size = start <= file.size() ? file.size() - start : 0;
  for (TensorPlace& place : places) {
    const TensorEntry& entry = place.entry;
    require(place.offset % alignment == 0, "{}: tensor {} begins at {}, which is not a multiple of the alignment {}",
            file.path(), entry.name, place.offset, alignment);
    require(place.offset <= size && entry.bytes <= size - place.offset,
            "{}: tensor {} needs bytes {} + {} of a data section of {} (truncated or damaged file)", file.path(),
            entry.name, place.offset, entry.bytes, size);
    place.entry.data = file.data() + std::min<uint64_t>(start, file.size()) + place.offset;
  }
  std::vector<const TensorPlace*> order;
  for (const TensorPlace& place : places)
    if (place.entry.bytes) order.push_back(&place);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorPlace &before = *order[i - 1], &after = *order[i];
    require(before.offset + before.entry.bytes <= after.offset, "{}: tensors {} and {} overlap at offset {}",
            file.path(), before.entry.name, after.entry.name, after.offset);
  }
}

}  // namespace

const char* gguf_type_name(GgufType type) {
  static constexpr const char* kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                           "bool", "string", "array", "u64", "i64", "f64"};
  const auto id = static_cast<size_t>(type);
  return id < std::size(kNames) ? kNames[id] : "unknown";
}

GgufFile::GgufFile(const std::string& path, const MapOptions& options) : GgufFile(path, options, OnePart{}) {
  if (u64_or("split.count", 1) > 1) join_parts(options);
}

// The parts' names and numbers are those of llama.cpp's gguf-split: split.no counts from 0, names from 1.
void GgufFile::join_parts(const MapOptions& options) {
  const std::string first = path();
  const uint64_t count = u64("split.count"), number = u64("split.no");
  require(count <= kMaxParts && number < count, "{}: is part {} of {}, expected at most {} parts", first, number + 1,
          count, kMaxParts);
  const auto ending = [&](uint64_t part) { return fmt::format("-{:05}-of-{:05}.gguf", part + 1, count); };
  require(first.ends_with(ending(number)), "{}: is part {} of {}; its name should end with {}", first, number + 1,
          count, ending(number));
  const std::string name = first.substr(0, first.size() - ending(number).size());
  require(number == 0, "{}: is part {} of {}; name the first one, {}", first, number + 1, count, name + ending(0));
  const uint64_t tensors = u64_or("split.tensors.count", 0);
  for (uint64_t part = 1; part < count; ++part) {
    GgufFile next(name + ending(part), options, OnePart{});
    require(next.u64_or("split.no", 0) == part && next.u64_or("split.count", 0) == count,
            "{}: says that it is part {} of {}, expected {} of {}", next.path(), next.u64_or("split.no", 0) + 1,
            next.u64_or("split.count", 0), part + 1, count);
    for (const auto& [tensor, index] : next.tensor_index_)
      require(tensor_index_.emplace(tensor, tensors_.size() + index).second, "{}: tensor {} is in an earlier part too",
              next.path(), tensor);
    std::move(next.tensors_.begin(), next.tensors_.end(), std::back_inserter(tensors_));
    files_.push_back(std::move(next.files_.front()));
  }
  require(tensors == 0 || tensors == tensors_.size(), "{}: its {} parts hold {} tensors, split.tensors.count says {}",
          first, count, tensors_.size(), tensors);
  std::erase_if(metadata_, [](const GgufMetadata& entry) { return entry.key.starts_with("split."); });
  metadata_index_.clear();
  for (size_t i = 0; i < metadata_.size(); ++i) metadata_index_.emplace(metadata_[i].key, i);
}

GgufFile::GgufFile(const std::string& path, const MapOptions& options, OnePart) {
  const MappedFile& file = files_.emplace_back(path, options);
  Cursor cursor(file);
  version_ = read_version(cursor, path);
  const auto tensor_count = cursor.read<uint64_t>("the tensor count");
  const auto metadata_count = cursor.read<uint64_t>("the metadata count");
  require(tensor_count <= cursor.remaining() / 24 && metadata_count <= cursor.remaining() / 13,
          "{}: announces {} tensors and {} keys, {} bytes remain (truncated or damaged file)", path, tensor_count,
          metadata_count, cursor.remaining());

  for (uint64_t i = 0; i < metadata_count; ++i) {
    metadata_.push_back(read_metadata(cursor));
    const std::string_view key = metadata_.back().key;
    require(metadata_index_.emplace(key, i).second, "{}: key {} appears twice", path, key);
  }
  if (has("general.alignment")) alignment_ = u64("general.alignment");
  require(std::has_single_bit(alignment_) && alignment_ <= kMaxAlignment,
          "{}: general.alignment is {}, expected a power of two up to {}", path, alignment_, kMaxAlignment);

  std::vector<TensorPlace> places;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    places.push_back(read_tensor_info(cursor, path));
    require(tensor_index_.emplace(places.back().name, i).second, "{}: tensor {} appears twice", path,
            places.back().name);
  }
  const uint64_t start = (cursor.position() + alignment_ - 1) / alignment_ * alignment_;
  place_tensors(places, file, start, alignment_);
  tensors_.reserve(places.size());
  for (TensorPlace& place : places) tensors_.push_back(std::move(place.entry));
}

std::vector<std::string> GgufFile::paths() const {
  std::vector<std::string> paths;
  for (const MappedFile& file : files_) paths.push_back(file.path());
  return paths;
}

uint64_t GgufFile::file_bytes() const {
  uint64_t bytes = 0;
  for (const MappedFile& file : files_) bytes += file.size();
  return bytes;
}

const TensorEntry* GgufFile::find(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

const TensorEntry& GgufFile::tensor(std::string_view name) const {
  const TensorEntry* found = find(name);
  require(found != nullptr, "{}: has no tensor {}", path(), name);
  return *found;
}

const GgufMetadata* GgufFile::find_metadata(std::string_view key) const {
  const auto found = metadata_index_.find(key);
  return found == metadata_index_.end() ? nullptr : &metadata_[found->second];
}

}  // namespace margay
