// Tensors by name: what every source of weights hands out, whatever its format and its number of files.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_entry.h"

namespace margay {

class TensorTable {
 public:
  virtual ~TensorTable() = default;

  const std::string& path() const { return path_; }  // of the file or folder that the user named
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  const TensorEntry* find(std::string_view name) const;    // nullptr when absent; throws for a type not supported
  const TensorEntry& tensor(std::string_view name) const;  // throws when absent
  // What the file says beside its tensors: __metadata__ of safetensors; numbers and strings of a PyTorch file.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Name -> type as the file spells it (U8, BOOL...) of tensors that margay cannot read.
  const std::map<std::string, std::string, std::less<>>& unsupported() const { return unsupported_; }
  bool has(std::string_view name) const { return index_.contains(name) || unsupported_.contains(name); }

 protected:
  explicit TensorTable(std::string path) : path_(std::move(path)) {}
  TensorTable(TensorTable&&) = default;
  TensorTable& operator=(TensorTable&&) = default;

  // These throw Error when the name is there already.
  void add(TensorEntry tensor);
  void add_unsupported(const std::string& name, const std::string& type);
  void add_all(const TensorTable& other);  // its tensors and metadata; it must live as long as this

  std::map<std::string, std::string> metadata_;

 private:
  void check_new(const std::string& name) const;

  std::string path_;
  std::vector<TensorEntry> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string, std::less<>> unsupported_;
};

}  // namespace margay
