#include "convert/base_file.h"

#include <unistd.h>

#include "base/error.h"
#include "convert/import_huggingface.h"
#include "convert/quantize.h"
#include "convert/source.h"

namespace margay {
namespace {

std::string path_of_base(const std::string& source, const std::string& output) {
  return detect_source(source) == SourceKind::kGguf ? std::string() : output + ".base.gguf";
}

// The type that keeps every bit of the source.
DType lossless_type(const std::string& source) {
  if (detect_source(source) != SourceKind::kHuggingFace) return DType::F32;
  const DType own = huggingface_type(source);
  if (gguf_file_type(own)) return own;
  return type_info(own).block_bytes == 1 ? DType::F16 : DType::F32;
}

}  // namespace

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

BaseFile::BaseFile(const std::string& source, const std::string& output, int threads, const std::string& tokenizer,
                   const std::function<void(const std::string&)>& say)
    : path_(source), converted_(path_of_base(source, output)) {
  if (converted_.path().empty()) return;
  path_ = converted_.path();
  const DType type = lossless_type(source);
  say(fmt::format("converting {} to GGUF ({})", source, type_name(type)));
  convert_model(source, path_, type, threads, tokenizer);
}

}  // namespace margay
