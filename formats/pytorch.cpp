#include "formats/pytorch.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <unordered_map>

#include "base/error.h"
#include "formats/checkpoint.h"
#include "formats/zip.h"

namespace margay {
namespace {

constexpr int kMaxDepth = 64;  // of nested dicts and lists
// torch.save of PyTorch before 1.6 begins with this pickle of a magic number; then come those of the protocol's
// version, the writing system, the object and the storages' keys, and the storages themselves.
constexpr std::string_view kLegacyMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);
constexpr int64_t kLegacyVersion = 1001;

bool is_legacy(std::string_view bytes) { return bytes.size() > 15 && bytes.substr(2, 13) == kLegacyMagic; }

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

bool is_pytorch_file(std::string_view bytes) {
  return bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06") ||
         (bytes.size() >= 2 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5 && is_legacy(bytes));
}

// Turns the values of a pickle into the file's table.
class PyTorchFile::Reader {
 public:
  explicit Reader(PyTorchFile& file) : file_(file), path_(file.path()) {}

  void read_zip() {
    const ZipArchive zip(file_.file_);
    // All members lie in one folder, named after the file.
    std::string folder;
    for (const auto& [name, member] : zip.members())
      if (name.ends_with("/data.pkl") && std::count(name.begin(), name.end(), '/') == 1)
        folder = name.substr(0, name.size() - std::strlen("data.pkl"));
    require(!folder.empty(), "{}: is a zip archive without data.pkl, so no PyTorch checkpoint", path_);
    const std::string order = folder + "byteorder";
    if (zip.has(order))
      require(text_of(zip.read(order)) == "little", "{}: its numbers are {}-endian, expected little", path_,
              text_of(zip.read(order)).substr(0, 20));
    const TorchPickle pickle(zip.read(folder + "data.pkl"), path_);
    read(pickle, [&](const TorchStorage& storage) { return zip.read(fmt::format("{}data/{}", folder, storage.key)); });
  }

  void read_legacy() {
    const std::span<const std::byte> bytes = file_.file_.bytes();
    size_t at = 15;
    const auto next = [&] {
      TorchPickle pickle(bytes.subspan(at), path_);
      at += pickle.size();
      return pickle;
    };
    const TorchPickle version = next();
    require(version.root().kind == PickleKind::kInteger && version.root().integer == kLegacyVersion,
            "{}: PyTorch's file format {} is not supported, {} is", path_, version.root().integer, kLegacyVersion);
    check_little_endian(next());
    const TorchPickle pickle = next(), keys = next();
    const auto storages = place_legacy(pickle, keys, at);
    read(pickle, [&](const TorchStorage& storage) {
      const auto found = storages.find(storage.key);
      require(found != storages.end(), "{}: has no storage {}", path_, storage.key);
      return found->second;
    });
  }

 private:
  using Bytes = std::span<const std::byte>;
  using FindStorage = std::function<Bytes(const TorchStorage&)>;

  void check_little_endian(const TorchPickle& system) const {
    const std::vector<uint32_t>& items = system.root().items;
    for (size_t i = 0; system.root().kind == PickleKind::kDict && i < items.size(); i += 2)
      if (system.value(items[i]).text == "little_endian")
        require(system.value(items[i + 1]).integer == 1, "{}: its numbers are big-endian, expected little", path_);
  }

  // Each storage is a number of elements and their bytes, in the order of `keys`.
  std::unordered_map<std::string_view, Bytes> place_legacy(const TorchPickle& pickle, const TorchPickle& keys,
                                                           size_t at) const {
    std::unordered_map<std::string_view, const TorchStorage*> known;
    for (const TorchStorage& storage : pickle.storages()) known[storage.key] = &storage;
    require(keys.root().kind == PickleKind::kList, "{}: the list of storages is missing (damaged file)", path_);
    const Bytes bytes = file_.file_.bytes();
    std::unordered_map<std::string_view, Bytes> places;
    for (const uint32_t id : keys.root().items) {
      const std::string_view key = keys.value(id).text;
      const auto found = known.find(key);
      require(found != known.end(), "{}: storage {} belongs to no tensor (damaged file)", path_, key);
      const uint64_t size = found->second->type ? static_cast<uint64_t>(found->second->type->bytes) : 1;
      uint64_t elements = 0;
      require(bytes.size() - at >= 8, "{}: storage {} is cut (truncated file)", path_, key);
      std::memcpy(&elements, bytes.data() + at, 8);
      at += 8;
      require(elements <= (bytes.size() - at) / size, "{}: storage {} of {} elements, {} bytes remain (truncated file)",
              path_, key, elements, bytes.size() - at);
      places[key] = bytes.subspan(at, elements * size);
      at += elements * size;
    }
    return places;
  }

  void read(const TorchPickle& pickle, const FindStorage& find) {
    pickle_ = &pickle;
    find_ = &find;
    visits_left_ = 1000 + 4 * pickle.size();
    name_bytes_left_ = (size_t{1} << 20) + 64 * pickle.size();
    visit(pickle.root(), "", 0);
  }

  // Values may be shared and nest in circles: depth, steps and the length of all names are bounded by the pickle's size.
  void visit(const PickleValue& value, const std::string& name, int depth) {
    require(depth <= kMaxDepth, "{}: {} nests deeper than {}", path_, name.substr(0, 100), kMaxDepth);
    require(visits_left_ > 0 && name_bytes_left_ > name.size(), "{}: its values are shared too often", path_);
    visits_left_ -= 1;
    name_bytes_left_ -= name.size();
    const auto child = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
    switch (value.kind) {
      case PickleKind::kDict:
        for (size_t i = 0; i < value.items.size(); i += 2)
          visit(pickle_->value(value.items[i + 1]), child(key_text(pickle_->value(value.items[i]))), depth + 1);
        return;
      case PickleKind::kList:
      case PickleKind::kTuple:
        for (size_t i = 0; i < value.items.size(); ++i)
          visit(pickle_->value(value.items[i]), child(std::to_string(i)), depth + 1);
        return;
      case PickleKind::kTensor:
        add_tensor(pickle_->tensors()[static_cast<size_t>(value.integer)], name.empty() ? "tensor" : name);
        return;
      case PickleKind::kString:
        file_.metadata_[name] = value.text;
        return;
      case PickleKind::kInteger:
        file_.metadata_[name] = std::to_string(value.integer);
        return;
      case PickleKind::kFloat:
        file_.metadata_[name] = fmt::format("{}", value.number);
        return;
      case PickleKind::kBool:
        file_.metadata_[name] = value.integer ? "true" : "false";
        return;
      default:
        return;
    }
  }

  std::string key_text(const PickleValue& key) const {
    if (key.kind == PickleKind::kString) return std::string(key.text);
    require(key.kind == PickleKind::kInteger, "{}: a dict's key is neither a string nor an integer", path_);
    return std::to_string(key.integer);
  }

  void add_tensor(const TorchTensor& tensor, const std::string& name) {
    const TorchStorage& storage = pickle_->storages()[tensor.storage];
    const std::string where = fmt::format("{}: tensor {}", path_, name);
    const int64_t size = tensor.type->bytes;
    const Bytes bytes = (*find_)(storage);
    const int64_t elements = check_inside(tensor, static_cast<int64_t>(bytes.size()) / size, where);
    if (tensor.type->type == kNoType) return file_.add_unsupported(name, tensor.type->name);
    TensorEntry entry{name, tensor.type->type, tensor.shape, bytes.data() + tensor.offset * size,
                      tensor_bytes(tensor.type->type, tensor.shape, where)};
    if (elements > 0 && !in_order(tensor)) entry.data = copied(tensor, entry, where);
    file_.add(std::move(entry));
  }

  // The tensor's elements; throws where they do not fit the storage.
  static int64_t check_inside(const TorchTensor& tensor, int64_t available, const std::string& where) {
    int64_t elements = 1, last = tensor.offset;
    bool fits = true;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      int64_t reach = 0;
      fits = fits && !__builtin_mul_overflow(elements, tensor.shape[i], &elements) &&
             !__builtin_mul_overflow(std::max<int64_t>(tensor.shape[i] - 1, 0), tensor.strides[i], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    require(fits && (elements == 0 ? tensor.offset <= available : last < available),
            "{}: shape {} with strides {} from element {} reaches out of a storage of {} (damaged file)", where,
            shape_text(tensor.shape), shape_text(tensor.strides), tensor.offset, available);
    return elements;
  }

  static bool in_order(const TorchTensor& tensor) {
    int64_t expected = 1;
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
      expected *= tensor.shape[i];
    }
    return true;
  }

  const std::byte* copied(const TorchTensor& tensor, const TensorEntry& entry, const std::string& where) {
    require(entry.bytes <= file_.file_.size() - copied_bytes_,
            "{}: repeats elements: {} bytes are wanted of a file of {}", where, entry.bytes, file_.file_.size());
    copied_bytes_ += entry.bytes;
    std::byte* to = file_.copies_.emplace_back(entry.bytes).data();
    const auto size = static_cast<size_t>(tensor.type->bytes);
    const size_t rank = tensor.shape.size();
    std::vector<int64_t> strides = tensor.strides, place(rank, 0);
    for (size_t i = 0; i < rank; ++i)
      if (tensor.shape[i] == 1) strides[i] = 0;  // such a stride was not checked
    int64_t from = 0;                            // elements from the first one
    for (uint64_t done = 0; done < entry.bytes; done += size) {
      std::memcpy(to + done, entry.data + from * tensor.type->bytes, size);
      for (size_t i = rank; i-- > 0;) {
        from += strides[i];
        if (++place[i] < tensor.shape[i]) break;
        from -= strides[i] * tensor.shape[i];
        place[i] = 0;
      }
    }
    return to;
  }

  PyTorchFile& file_;
  const std::string& path_;
  const TorchPickle* pickle_ = nullptr;
  const FindStorage* find_ = nullptr;
  uint64_t copied_bytes_ = 0;
  size_t visits_left_ = 0, name_bytes_left_ = 0;
};

PyTorchFile::PyTorchFile(const std::string& path) : TensorTable(path), file_(path) {
  const std::string_view bytes = file_.text();
  require(is_pytorch_file(bytes), "{}: is neither a zip archive nor a pickle as torch.save writes them", path);
  if (bytes.starts_with("PK")) Reader(*this).read_zip();
  else Reader(*this).read_legacy();
}

}  // namespace margay
