// Tensors on their way into a GGUF file: converted by rows on a team of threads, in memory that does not grow with the
// model.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "convert/target_type.h"
#include "formats/gguf.h"

namespace margay {

// A correction that a weight [out, in] gets on its way: scale B A, with a [rank, in] and b [out, rank] in the order of
// the output's rows. Both must live until the file is written.
struct LowRank {
  const float *a = nullptr, *b = nullptr;
  int64_t rank = 0;
  float scale = 0;
};

// One tensor of the output.
struct TensorJob {
  std::string name;
  std::vector<int64_t> shape;  // row-major
  DType from = DType::F32, to = DType::F32;
  const std::byte* data = nullptr;  // of the source; may be unaligned, must live until the file is written
  int64_t rope_head = 0;  // head_dim where rows (elements of a vector) change from half-split to interleaved RoPE order
  float plus = 0;         // added to every element: Gemma's norm weights hold w, GGUF's 1 + w
  bool mapped = false;    // data is a mapped file's: its pages are let go once they are written (release_pages())
  const float* importance = nullptr;  // of the columns, for types whose quantizers weigh (ops/quant/convert.h)
  std::vector<LowRank> merged = {};   // LoRA, added in float32
};

// What was written, of one type or one tensor.
struct TypeTotal {
  int64_t tensors = 0;
  uint64_t bytes = 0;
  int64_t converted = 0;  // elements whose type changed; the sums are over these
  double squared_error = 0, squared = 0;

  double rms_error() const;       // root mean square of what the conversion changed
  double relative_error() const;  // the same over the root mean square of the weights
  TypeTotal& operator+=(const TypeTotal& other);
};

struct TensorTotal {
  std::string name;
  DType from = DType::F32, to = DType::F32;
  TypeTotal total;
};

struct ConvertReport {
  ModelType type = DType::F32;       // that was asked for
  int64_t tensors = 0;               // written
  int64_t fallbacks = 0;             // that fell back to another type, as their rows do not fit the blocks
  uint64_t bytes_before = 0;         // of the tensors in the source
  uint64_t bytes_after = 0;          // and in the output
  std::map<DType, TypeTotal> types;  // of the output
  std::vector<TensorTotal> rows;     // each tensor of the output, in file order
  std::vector<std::string> notes;    // what the user should know: one line each
  double seconds = 0;
};

// Throws Error where out is one of the inputs (the same file under any name), is a folder, or its folder is missing.
void check_output(const std::string& out, const std::vector<std::string>& inputs);

// Announces the jobs' tensors to `writer` and writes the file, adding to `report`. Reports progress on standard error
// and stops at an interruption (the old file stays). Throws Error when a type cannot be converted, a weight is not
// finite or does not fit the type, or the disk has too little room.
void write_tensors(GgufWriter& writer, const std::string& out, const std::vector<TensorJob>& jobs, int threads,
                   ConvertReport& report);

}  // namespace margay
