// The weights of a model by name: GGUF's tensors, with a trainer's own on top.
#pragma once
#include <map>
#include <string>

#include "formats/gguf.h"
#include "ops/graph.h"

namespace margay {

struct WeightRef {
  Shape shape;  // row-major
  DType dtype = DType::F32;
  const void* data = nullptr;
};

// Names to memory. Does not own the memory.
class WeightSet {
 public:
  WeightSet() = default;
  explicit WeightSet(const GgufFile& file);  // all tensors; `file` must outlive the set
  void set(const std::string& name, WeightRef weight) { weights_[name] = weight; }
  const WeightRef* find(const std::string& name) const;
  // Throws Error naming the weight when it is absent or of another shape (-1 accepts any length).
  const WeightRef& get(const std::string& name, const Shape& expected) const;
  const std::string& origin() const { return origin_; }

 private:
  std::string origin_ = "model";
  std::map<std::string, WeightRef, std::less<>> weights_;
};

// Names of GGUF and of margay's linearized layers.
inline std::string block_name(int64_t layer, const char* suffix) { return fmt::format("blk.{}.{}", layer, suffix); }

}  // namespace margay
