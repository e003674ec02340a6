// The weights of a model by name: GGUF's tensors, with a trainer's own on top.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "formats/gguf.h"
#include "ops/graph.h"

namespace margay {

struct WeightRef {
  Shape shape;  // row-major
  DType dtype = DType::F32;
  const void* data = nullptr;
};

struct ModelConfig;
using NamedWeight = std::pair<std::string, WeightRef>;

// The file's tensors under the names that models use, in order: attn_qkv and a twice as high ffn_up (Phi) appear as the
// rows of attn_q, attn_k, attn_v and of ffn_gate, ffn_up. Nothing is copied: `file` must outlive what is returned.
std::vector<NamedWeight> model_weights(const GgufFile& file, const ModelConfig& config);

// Names to memory. Does not own the memory.
class WeightSet {
 public:
  WeightSet() = default;
  WeightSet(const GgufFile& file, const ModelConfig& config);  // model_weights() of the file
  void set(const std::string& name, WeightRef weight) { weights_[name] = weight; }
  const WeightRef* find(const std::string& name) const;
  // Throws Error naming the weight when it is absent or of another shape (-1 accepts any length).
  const WeightRef& get(const std::string& name, const Shape& expected) const;
  const std::map<std::string, WeightRef, std::less<>>& all() const { return weights_; }
  const std::string& origin() const { return origin_; }

 private:
  std::string origin_ = "model";
  std::map<std::string, WeightRef, std::less<>> weights_;
};

// Names of GGUF and of margay's linearized layers.
inline std::string block_name(int64_t layer, const char* suffix) { return fmt::format("blk.{}.{}", layer, suffix); }

}  // namespace margay
