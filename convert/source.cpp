#include "convert/source.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "formats/llama2c.h"

namespace margay {
namespace {

namespace fs = std::filesystem;

// A folder's first file for which match(name) holds; empty when there is none.
template <class Match>
std::string first_file(const std::string& folder, Match match) {
  std::error_code error;
  std::string found;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (match(name) && (found.empty() || name < found)) found = name;
  }
  return found;
}

SourceKind detect_folder(const std::string& path) {
  const auto has = [&](const char* name) { return file_exists(path + "/" + name); };
  if (has("config.json") || !Checkpoint::weights_of(path).empty()) return SourceKind::kHuggingFace;
  const std::string gguf = first_file(path, [](const std::string& name) { return name.ends_with(".gguf"); });
  require(gguf.empty(), "{}: is a folder without config.json; did you mean the file {}/{}?", path, path, gguf);
  fail("{}: is a folder without config.json; give a Hugging Face model folder or a GGUF file", path);
}

}  // namespace

SourceKind detect_source(const std::string& path) {
  if (!file_exists(path)) {
    const std::string parent = fs::path(path).parent_path().string();
    require(parent.empty() || is_directory(parent), "{}: does not exist, nor does the folder {}", path, parent);
    fail("{}: does not exist; give a Hugging Face model folder or a GGUF file on this machine (nothing is downloaded)",
         path);
  }
  if (is_directory(path)) return detect_folder(path);
  const MappedFile file(path);
  if (file.text().starts_with("GGUF")) return SourceKind::kGguf;
  if (is_pytorch_file(file.text())) return SourceKind::kPyTorch;
  if (path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json")) return SourceKind::kSafetensors;
  if (path.ends_with(".bin.index.json")) return SourceKind::kPyTorch;
  if (Llama2c::recognizes(file)) return SourceKind::kLlama2c;
  require(!path.ends_with(".gguf"), "{}: not a GGUF file (it does not begin with GGUF, {} bytes)", path, file.size());
  fail("{}: is no GGUF, .safetensors, PyTorch (.bin, .pt, .pth) or llama2.c file, nor a Hugging Face model folder",
       path);
}

}  // namespace margay
