// safetensors: one file or a sharded folder, mapped; and writing one file.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "formats/tensor_entry.h"

namespace margay {

// A .safetensors file, or a folder with model.safetensors or model.safetensors.index.json and its shards. Opening
// checks header sizes, types, shapes, offsets, overlaps and (for shards) that the index and the files agree.
// Movable. Throws Error naming the file and the tensor.
class Safetensors {
 public:
  explicit Safetensors(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<TensorEntry>& tensors() const { return tensors_; }  // by shard, then by name
  const TensorEntry* find(std::string_view name) const;    // nullptr when absent; throws for a type not supported
  const TensorEntry& tensor(std::string_view name) const;  // throws when absent
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // __metadata__ of the file(s)
  // Name -> type as the file spells it (U8, BOOL, F8_E4M3...) of tensors that margay cannot read.
  const std::map<std::string, std::string, std::less<>>& unsupported() const { return unsupported_; }

 private:
  void open_shard(const std::string& path);
  void open_index(const std::string& folder, const std::string& index_path);

  std::string path_;
  std::vector<MappedFile> files_;
  std::vector<TensorEntry> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string, std::less<>> unsupported_;
  std::map<std::string, std::string> metadata_;
};

// Writes the tensors in the order given (deterministic, atomic; data 8-byte aligned). Throws Error when a type has no
// safetensors name (quantized ones), a name repeats, or bytes do not fit the shape.
void write_safetensors(const std::string& path, std::span<const TensorEntry> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace margay
