// PyTorch checkpoints: the zip archives of torch.save, and the bare pickles that it wrote before PyTorch 1.6.
#pragma once
#include <string>
#include <vector>

#include "base/file.h"
#include "base/memory.h"
#include "formats/tensor_table.h"
#include "formats/torch_pickle.h"

namespace margay {

// A .pt, .pth or .bin file, mapped. Tensors inside dicts and lists are named by their path, parts joined by dots
// ("model_state_dict.model.norm.weight"); numbers and strings become metadata() in the same way. Tensors whose elements
// do not lie in order (transposed ones) are copied, at most as many bytes as the file has. Movable. Throws Error naming
// the file and what is wrong or refused (torch_pickle.h).
class PyTorchFile : public TensorTable {
 public:
  explicit PyTorchFile(const std::string& path);

 private:
  class Reader;

  MappedFile file_;
  std::vector<Buffer> copies_;
};

}  // namespace margay
