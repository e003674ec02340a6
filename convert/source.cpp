#include "convert/source.h"

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace margay {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPyTorch = "PyTorch checkpoints are not there yet; save the model as safetensors";

bool is_pytorch_name(const std::string& name) {
  return name.ends_with(".pt") || name.ends_with(".pth") || (name.ends_with(".bin") && name != "training_args.bin");
}

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
  if (has("config.json") || has("model.safetensors") || has("model.safetensors.index.json"))
    return SourceKind::kHuggingFace;
  const std::string gguf = first_file(path, [](const std::string& name) { return name.ends_with(".gguf"); });
  require(gguf.empty(), "{}: is a folder without config.json; did you mean the file {}/{}?", path, path, gguf);
  const std::string pytorch = first_file(path, is_pytorch_name);
  require(pytorch.empty(), "{}: holds {}: {}", path, pytorch, kPyTorch);
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
  if (file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) == 0) return SourceKind::kGguf;
  if (path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json")) return SourceKind::kSafetensors;
  require(!is_pytorch_name(fs::path(path).filename().string()), "{}: {}", path, kPyTorch);
  require(!path.ends_with(".gguf"), "{}: not a GGUF file (it does not begin with GGUF, {} bytes)", path, file.size());
  fail("{}: is neither a GGUF file, a .safetensors file nor a Hugging Face model folder", path);
}

}  // namespace margay
