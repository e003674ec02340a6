#include "train/parameters.h"

#include <xxhash.h>

#include <cstring>

#include "formats/safetensors.h"

namespace margay {
namespace {

constexpr const char* kChecksum = "xxh3";

}  // namespace

Parameter& ParameterSet::add(const std::string& name, Shape shape) {
  require(find(name) == nullptr, "parameter {} exists already", name);
  auto parameter = std::make_unique<Parameter>();
  parameter->name = name;
  parameter->shape = shape;
  const size_t bytes = static_cast<size_t>(elements(shape)) * sizeof(float);
  for (Buffer* buffer : {&parameter->value, &parameter->gradient, &parameter->m, &parameter->v})
    *buffer = Buffer(bytes);
  parameters_.push_back(std::move(parameter));
  return *parameters_.back();
}

const Parameter* ParameterSet::find(const std::string& name) const {
  for (const auto& parameter : parameters_)
    if (parameter->name == name) return parameter.get();
  return nullptr;
}

Parameter& ParameterSet::get(const std::string& name) {
  const Parameter* parameter = find(name);
  require(parameter != nullptr, "there is no parameter {}", name);
  return const_cast<Parameter&>(*parameter);
}

int64_t ParameterSet::count() const {
  int64_t total = 0;
  for (const auto& parameter : parameters_) total += parameter->count();
  return total;
}

void ParameterSet::put_into(WeightSet& weights) const {
  for (const auto& parameter : parameters_)
    weights.set(parameter->name, {parameter->shape, DType::F32, parameter->value.data()});
}

void ParameterSet::zero_gradients() {
  for (const auto& parameter : parameters_) std::memset(parameter->gradient.data(), 0, parameter->gradient.size());
}

std::vector<float> ParameterSet::snapshot() const {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(count()));
  for (const auto& parameter : parameters_)
    values.insert(values.end(), parameter->values(), parameter->values() + parameter->count());
  return values;
}

void ParameterSet::restore(const std::vector<float>& values) {
  require(static_cast<int64_t>(values.size()) == count(), "a snapshot of {} values for {} parameters", values.size(),
          count());
  const float* next = values.data();
  for (const auto& parameter : parameters_) {
    std::memcpy(parameter->value.data(), next, parameter->value.size());
    next += parameter->count();
  }
}

void ParameterSet::save(const std::string& path, const std::map<std::string, std::string>& metadata) const {
  std::vector<TensorEntry> tensors;
  for (const auto& parameter : parameters_) {
    TensorEntry entry;
    entry.name = parameter->name;
    entry.shape.assign(parameter->shape.dim, parameter->shape.dim + parameter->shape.rank);
    entry.data = parameter->value.data();
    entry.bytes = static_cast<uint64_t>(parameter->count()) * sizeof(float);
    tensors.push_back(std::move(entry));
  }
  const std::vector<float> all = snapshot();
  std::map<std::string, std::string> with_checksum = metadata;
  with_checksum[kChecksum] = fmt::format("{:016x}", XXH3_64bits(all.data(), all.size() * sizeof(float)));
  write_safetensors(path, tensors, with_checksum);
}

void ParameterSet::load(const std::string& path) {
  const Safetensors file(path);
  for (const auto& parameter : parameters_) {
    const std::vector<float> values = to_float(file.tensor(parameter->name));
    require(static_cast<int64_t>(values.size()) == parameter->count(), "{}: {} has {} values, expected {}", path,
            parameter->name, values.size(), parameter->count());
    std::memcpy(parameter->value.data(), values.data(), parameter->value.size());
  }
  const std::vector<float> all = snapshot();
  const std::string checksum = fmt::format("{:016x}", XXH3_64bits(all.data(), all.size() * sizeof(float)));
  const auto stored = file.metadata().find(kChecksum);
  require(stored != file.metadata().end() && stored->second == checksum,
          "{}: the checksum does not fit: the file is damaged", path);
}

}  // namespace margay
