// What the names of tokenizer.ggml.pre stand for.
#pragma once
#include <string>
#include <string_view>

namespace margay {

// In tokenizer.json's own words.
struct GgufPre {
  const char* names;  // by spaces; the first is the one we write
  const char* normalizer;
  bool ignore_merges, adds_bos;
  const char* pre_tokenizer;
};

// Throws Error naming `where` when the name is unknown.
const GgufPre& gguf_pre(std::string_view name, const std::string& where);

// The name of what cuts text as a pre-tokenizer of this description() does, if possible for models that ignore merges or
// do not; "default" when there is none.
std::string gguf_pre_name(const std::string& description, bool ignore_merges);

}  // namespace margay
