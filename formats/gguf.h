// GGUF, the container of margay's own models: mapped reading with every number checked, streamed writing.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "formats/tensor_entry.h"

namespace margay {

// GGUF's ids of the 13 metadata types.
enum class GgufType : uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12,
};

// "u32", "string", "array"...
const char* gguf_type_name(GgufType type);

// One key of a file. `payload` is the value as the file spells it (an array's includes its element type and count);
// it points into the mapping, and its structure has been checked.
struct GgufMetadata {
  std::string_view key;
  GgufType type = GgufType::U8;
  GgufType element = GgufType::U8;  // of an array
  uint64_t count = 1;               // of an array's elements
  std::span<const std::byte> payload;
};

// The value for people: strings quoted, at most `limit` elements of an array and 200 bytes of a string.
std::string gguf_value_text(const GgufMetadata& entry, size_t limit = 8);

// A GGUF file (version 2 or 3, little-endian), mapped; of a model split into NAME-00001-of-00003.gguf and so on the first
// one opens all, as one model without the split.* keys. Opening checks the whole structure: counts against the bytes
// that remain, types, alignment, offsets, overlaps, duplicate names. Movable. All members throw Error naming the file
// and the key or tensor.
class GgufFile {
 public:
  explicit GgufFile(const std::string& path, const MapOptions& options = {});

  const std::string& path() const { return files_.front().path(); }
  std::vector<std::string> paths() const;  // of all its files
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }  // bytes
  uint64_t file_bytes() const;                       // of all its files

  const std::vector<TensorEntry>& tensors() const { return tensors_; }  // in file order
  const TensorEntry* find(std::string_view name) const;                 // nullptr when absent
  const TensorEntry& tensor(std::string_view name) const;               // throws when absent

  const std::vector<GgufMetadata>& metadata() const { return metadata_; }  // in file order
  const GgufMetadata* find_metadata(std::string_view key) const;           // nullptr when absent
  bool has(std::string_view key) const { return find_metadata(key) != nullptr; }

  // Typed values. They throw when the key is absent or has another type; views live as long as the file.
  std::string_view string(std::string_view key) const;
  uint64_t u64(std::string_view key) const;  // any integer type, not negative
  double f64(std::string_view key) const;    // any number
  bool boolean(std::string_view key) const;
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;  // array of any integer type
  std::vector<float> floats(std::string_view key) const;      // array of f32 or f64
  std::vector<bool> booleans(std::string_view key) const;

  // The same with a value for an absent key; a present key of another type still throws.
  std::string_view string_or(std::string_view key, std::string_view otherwise) const;
  uint64_t u64_or(std::string_view key, uint64_t otherwise) const;
  double f64_or(std::string_view key, double otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::vector<std::string_view> strings_or(std::string_view key, std::vector<std::string_view> otherwise) const;
  std::vector<int64_t> integers_or(std::string_view key, std::vector<int64_t> otherwise) const;
  std::vector<float> floats_or(std::string_view key, std::vector<float> otherwise) const;
  std::vector<bool> booleans_or(std::string_view key, std::vector<bool> otherwise) const;

 private:
  struct OnePart {};
  GgufFile(const std::string& path, const MapOptions& options, OnePart);
  void join_parts(const MapOptions& options);
  const GgufMetadata& entry(std::string_view key) const;
  const GgufMetadata& array(std::string_view key) const;

  std::vector<MappedFile> files_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  std::vector<GgufMetadata> metadata_;
  std::vector<TensorEntry> tensors_;
  std::unordered_map<std::string_view, size_t> metadata_index_, tensor_index_;  // keys point into the mapping
};

// A metadata value, spelled as the file spells it.
struct GgufValue {
  GgufType type = GgufType::U8;
  std::string payload;

  static GgufValue of(bool value);
  static GgufValue of(uint8_t value);
  static GgufValue of(int8_t value);
  static GgufValue of(uint16_t value);
  static GgufValue of(int16_t value);
  static GgufValue of(uint32_t value);
  static GgufValue of(int32_t value);
  static GgufValue of(uint64_t value);
  static GgufValue of(int64_t value);
  static GgufValue of(float value);
  static GgufValue of(double value);
  static GgufValue of(std::string_view value);
  static GgufValue of(const char* value) { return of(std::string_view(value)); }
  static GgufValue of(const std::string& value) { return of(std::string_view(value)); }
  static GgufValue of(const std::vector<bool>& values);
  template <class T>
  static GgufValue of(const std::vector<T>& values) {
    std::vector<GgufValue> elements;
    elements.reserve(values.size());
    for (const T& value : values) elements.push_back(of(value));
    return array(scalar_type<T>(), elements);
  }
  // An array of values of one type; arrays nest.
  static GgufValue array(GgufType element, const std::vector<GgufValue>& elements);

 private:
  template <class T>
  static GgufType scalar_type() {
    return of(T{}).type;
  }
};

// Writes a GGUF v3 file. Keys and tensors keep the order in which they came.
class GgufWriter {
 public:
  // Receives a piece of a tensor's bytes.
  using Sink = std::function<void(const void* data, size_t bytes)>;

  // Sets a key, in place of an earlier value of it. `general.alignment` (u32) also sets the file's alignment.
  void set(const std::string& key, GgufValue value);
  template <class T>
  void set(const std::string& key, const T& value) {
    set(key, GgufValue::of(value));
  }
  bool has(std::string_view key) const;
  void erase(std::string_view key);

  // Copies every key of `file` for which keep(key) holds.
  void copy_metadata(const GgufFile& file, const std::function<bool(std::string_view key)>& keep);

  // Announces a tensor (shape row-major, slowest first; 1 to 4 dimensions). Throws Error on a name that is empty, too
  // long or taken, or a shape that does not fit the type. Returns its index.
  size_t add_tensor(const std::string& name, DType dtype, const std::vector<int64_t>& shape);
  size_t tensor_count() const { return tensors_.size(); }
  const TensorEntry& tensor(size_t index) const { return tensors_.at(index); }  // data is nullptr
  uint64_t data_bytes() const;                                                  // of all tensors with padding

  // Writes the file atomically: produce(index, sink) is called once per tensor, in order, and must sink exactly its
  // bytes. Throws Error naming the tensor otherwise.
  using Producer = std::function<void(size_t index, const Sink& sink)>;
  void write(const std::string& path, const Producer& produce) const;
  // The same bytes to `out`, piece by piece; `where` names it in errors.
  void stream(const Sink& out, const std::string& where, const Producer& produce) const;

 private:
  uint64_t alignment_ = 32;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<TensorEntry> tensors_;
  std::unordered_map<std::string, size_t> tensor_index_;
};

}  // namespace margay
