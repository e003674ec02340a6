// safetensors: a file, mapped; and writing one.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>

#include "base/file.h"
#include "formats/tensor_table.h"

namespace margay {

// A .safetensors file. Opening checks header sizes, types, shapes, offsets and overlaps. Movable. Throws Error naming the
// file and the tensor.
class Safetensors : public TensorTable {
 public:
  explicit Safetensors(const std::string& path);

 private:
  MappedFile file_;
};

// Writes the tensors in the order given (deterministic, atomic; data 8-byte aligned). Throws Error when a type has no
// safetensors name (quantized ones), a name repeats, or bytes do not fit the shape.
void write_safetensors(const std::string& path, std::span<const TensorEntry> tensors,
                       const std::map<std::string, std::string>& metadata = {});
// The same for tensors that are made on the way: `produce(index, sink)` is called once for each, in order, and must sink
// exactly its bytes; `data` of the entries is not read.
using TensorSink = std::function<void(const void* data, size_t bytes)>;
void write_safetensors(const std::string& path, std::span<const TensorEntry> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<void(size_t index, const TensorSink& sink)>& produce);

}  // namespace margay
