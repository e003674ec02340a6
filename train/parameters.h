// The trainable parameters of a stage: values, gradients and AdamW moments, float32, ours.
#pragma once
#include <string>
#include <vector>

#include "base/memory.h"
#include "base/random.h"
#include "formats/tensor_entry.h"
#include "models/weights.h"

namespace margay {

struct Parameter {
  std::string name;  // as in the model: blk.0.attn_fmap_q.weight, blk.0.attn_q.weight.lora_a
  Shape shape;
  Buffer value, gradient, m, v;

  int64_t count() const { return elements(shape); }
  float* values() const { return value.as<float>(); }
};

// Addresses stay valid as parameters are added: graphs point at them.
class ParameterSet {
 public:
  // All zeros. Throws Error when the name is taken.
  Parameter& add(const std::string& name, Shape shape);
  Parameter& get(const std::string& name);  // throws Error when absent
  const Parameter* find(const std::string& name) const;
  const std::vector<std::unique_ptr<Parameter>>& all() const { return parameters_; }
  int64_t count() const;  // of scalars

  void put_into(WeightSet& weights) const;  // on top of the model's own
  void zero_gradients();

  // All values, one after the other: the best weights so far are such a copy.
  std::vector<float> snapshot() const;
  void restore(const std::vector<float>& values);

  // safetensors, atomic, with a checksum in the metadata. load() throws Error where a tensor is missing, has another
  // shape, or the checksum differs.
  void save(const std::string& path, const std::map<std::string, std::string>& metadata) const;
  void load(const std::string& path);

 private:
  std::vector<std::unique_ptr<Parameter>> parameters_;
};

}  // namespace margay
