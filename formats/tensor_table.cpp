#include "formats/tensor_table.h"

#include "base/error.h"

namespace margay {

const TensorEntry* TensorTable::find(std::string_view name) const {
  if (const auto found = index_.find(name); found != index_.end()) return &tensors_[found->second];
  const auto foreign = unsupported_.find(name);
  if (foreign != unsupported_.end())
    fail("{}: tensor {} has type {}, which margay cannot read", path_, name, foreign->second);
  return nullptr;
}

const TensorEntry& TensorTable::tensor(std::string_view name) const {
  const TensorEntry* found = find(name);
  require(found != nullptr, "{}: has no tensor {}", path_, name);
  return *found;
}

void TensorTable::check_new(const std::string& name) const {
  require(!has(name), "{}: tensor {} is there twice", path_, name);
}

void TensorTable::add(TensorEntry tensor) {
  check_new(tensor.name);
  index_.emplace(tensor.name, tensors_.size());
  tensors_.push_back(std::move(tensor));
}

void TensorTable::add_unsupported(const std::string& name, const std::string& type) {
  check_new(name);
  unsupported_.emplace(name, type);
}

void TensorTable::add_all(const TensorTable& other) {
  for (const TensorEntry& tensor : other.tensors()) add(tensor);
  for (const auto& [name, type] : other.unsupported()) add_unsupported(name, type);
  for (const auto& [key, value] : other.metadata()) metadata_[key] = value;
}

}  // namespace margay
