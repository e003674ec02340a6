// A made-up byte-level vocabulary of any size, for models whose text means nothing.
#pragma once
#include <cstdint>

namespace margay {

class GgufWriter;

// Sets tokenizer.ggml.*, as converters write them for Llama 3: the 256 bytes, then words of "Ġ" and letters, the
// shorter first, with one or two merges each (a 128 k vocabulary gets about as many as Llama 3's), and control tokens
// at the end, the first two of which begin and end a text. `size` is at least 512.
void write_synthetic_vocabulary(GgufWriter& writer, int64_t size);

}  // namespace margay
