// A model's weights as they are published: one file or a folder of shards, in the form of safetensors or of PyTorch.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "formats/tensor_table.h"

namespace margay {

// Opens a .safetensors file, a PyTorch file (.bin, .pt, .pth), an index (*.index.json) with its shards, or a folder
// that holds model.safetensors or pytorch_model.bin or the index of one of them; safetensors goes first. Checks that
// the index and the shards agree. Movable. Throws Error naming the file and the tensor.
class Checkpoint : public TensorTable {
 public:
  explicit Checkpoint(const std::string& path);

  const std::vector<std::string>& files() const { return files_; }  // that hold the tensors
  // The file of a folder that Checkpoint would open; empty when there is none.
  static std::string weights_of(const std::string& folder);

 private:
  const TensorTable& open_file(const std::string& path);
  void open_index(const std::string& path);

  std::vector<std::string> files_;
  std::vector<std::unique_ptr<TensorTable>> shards_;
};

// Whether a file begins as a PyTorch checkpoint does: a zip archive, or a pickle.
bool is_pytorch_file(std::string_view bytes);

}  // namespace margay
