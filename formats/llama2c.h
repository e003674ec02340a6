// Checkpoints of llama2.c: float32 Llama models with a header of 28 bytes (legacy) or 256 (version 1, "ak42"), and the
// tokenizer.bin beside them.
#pragma once
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/tensor_table.h"

namespace margay {

class GgufWriter;

// A checkpoint, mapped; its tensors carry GGUF's names, as the file has none, and llama2.c's rows are in GGUF's
// (interleaved) RoPE order already. Throws Error naming the file: a version that is not there (2: quantized), numbers
// out of range, or a file of another length than they ask for.
class Llama2c : public TensorTable {
 public:
  explicit Llama2c(const std::string& path);
  // Whether a file is one: by its magic number, or by a legacy header that the file's length fits exactly.
  static bool recognizes(const MappedFile& file);

  int64_t width = 0, feed_forward = 0, layers = 0, heads = 0, kv_heads = 0, vocabulary = 0, context = 0;

 private:
  MappedFile file_;
};

// Reads tokenizer.bin with `vocabulary` pieces and scores and writes them as the SentencePiece tokenizer that they are:
// tokenizer.ggml.model = llama. Throws Error naming the file where it is cut or longer.
void write_llama2c_tokenizer(const std::string& path, int64_t vocabulary, GgufWriter& writer);

}  // namespace margay
