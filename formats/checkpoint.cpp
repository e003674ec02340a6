#include "formats/checkpoint.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "formats/pytorch.h"
#include "formats/safetensors.h"

namespace margay {
namespace {

using Json = nlohmann::json;

// A shard's name is that of a file in the same folder and nothing else.
bool plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

std::string Checkpoint::weights_of(const std::string& folder) {
  for (const char* name :
       {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (file_exists(folder + "/" + name)) return folder + "/" + name;
  return {};
}

Checkpoint::Checkpoint(const std::string& path) : TensorTable(path) {
  const std::string file = is_directory(path) ? weights_of(path) : path;
  require(!file.empty(), "{}: has neither model.safetensors nor pytorch_model.bin, nor the index of one of them", path);
  if (file.ends_with(".index.json")) open_index(file);
  else add_all(open_file(file));
}

const TensorTable& Checkpoint::open_file(const std::string& path) {
  files_.push_back(path);
  if (is_pytorch_file(MappedFile(path).text())) shards_.push_back(std::make_unique<PyTorchFile>(path));
  else shards_.push_back(std::make_unique<Safetensors>(path));
  return *shards_.back();
}

void Checkpoint::open_index(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
  const Json index = parse_json(read_text_file(path), path);
  require(index.is_object(), "{}: holds {}, expected an object", path, json_kind(index));
  const auto found = index.find("weight_map");
  require(found != index.end() && found->is_object(), "{}: has no valid \"weight_map\"", path);
  const Json& map = *found;
  std::set<std::string> names;
  for (const auto& [name, shard] : map.items()) {
    require(shard.is_string(), "{}: the shard of {} is {}, expected a string", path, name, json_kind(shard));
    const auto file = shard.get<std::string>();
    require(plain_file_name(file), "{}: the shard \"{}\" of {} is not a file in this folder", path, file, name);
    require(file_exists(folder + "/" + file), "{}: lists the shard {}, which is missing", path, file);
    names.insert(file);
  }
  for (const std::string& name : names) {
    const TensorTable& shard = open_file(folder + "/" + name);
    const auto check_listed = [&](const std::string& tensor) {
      const auto listed = map.find(tensor);
      require(listed != map.end() && *listed == name, "{}: does not list tensor {}, which {} holds", path, tensor,
              name);
    };
    for (const TensorEntry& tensor : shard.tensors()) check_listed(tensor.name);
    for (const auto& [tensor, type] : shard.unsupported()) check_listed(tensor);
    add_all(shard);
  }
  for (const auto& [name, shard] : map.items())
    require(has(name), "{}: lists tensor {}, which {} does not hold", path, name, shard.get<std::string>());
}

}  // namespace margay
