#include "formats/importance_matrix.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "formats/gguf.h"

namespace margay {
namespace {

constexpr const char *kSums = ".in_sum2", *kCounts = ".counts";

void check_entry(const std::string& path, const std::string& name, const ImportanceEntry& entry) {
  require(!entry.counts.empty() && !entry.sums.empty() && entry.sums.size() % entry.counts.size() == 0,
          "{}: {} has {} sums and {} counts, expected as many sums for each count", path, name, entry.sums.size(),
          entry.counts.size());
  for (const std::vector<double>* values : {&entry.sums, &entry.counts})
    for (const double value : *values)
      require(std::isfinite(value) && value >= 0, "{}: {} holds {}, expected sums of squares and counts", path, name,
              value);
}

std::vector<double> to_double(const TensorEntry& tensor, const std::string& path) {
  require(tensor.dtype == DType::F32, "{}: tensor {} has type {}, expected F32", path, tensor.name,
          type_name(tensor.dtype));
  const std::vector<float> values = to_float(tensor);
  return {values.begin(), values.end()};
}

ImportanceMatrix read_gguf(const std::string& path) {
  const GgufFile file(path);
  require(file.string_or("general.type", "") == "imatrix",
          "{}: is a GGUF file but no importance matrix (its general.type is '{}', not 'imatrix')", path,
          file.string_or("general.type", ""));
  ImportanceMatrix matrix;
  for (const std::string_view name : file.strings_or("imatrix.datasets", {})) matrix.datasets.emplace_back(name);
  matrix.chunks = static_cast<int64_t>(file.u64_or("imatrix.chunk_count", 0));
  matrix.chunk_tokens = static_cast<int64_t>(file.u64_or("imatrix.chunk_size", 0));
  for (const TensorEntry& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - std::strlen(kSums));
    ImportanceEntry entry{to_double(tensor, path), to_double(file.tensor(name + kCounts), path)};
    check_entry(path, name, entry);
    matrix.entries.emplace(name, std::move(entry));
  }
  return matrix;
}

// The older format: the number of entries; for each a name, the number of windows and the columns' mean squares times
// that number; then, not in the oldest files, the number of windows in all and the text's name. Integers have 32 bits.
class LegacyReader {
 public:
  explicit LegacyReader(const std::string& path) : file_(path) {}

  ImportanceMatrix read() {
    ImportanceMatrix matrix;
    const int32_t entries = number("the number of entries");
    require(entries >= 1 && static_cast<size_t>(entries) <= file_.size() / 12,
            "{}: neither GGUF nor an importance matrix: it would have {} entries in {} bytes", file_.path(), entries,
            file_.size());
    for (int32_t i = 0; i < entries; ++i) {
      const std::string name = text(fmt::format("the name of entry {}", i));
      require(!name.empty(), "{}: entry {} has no name", file_.path(), i);
      const int32_t windows = number(name), count = number(name);
      require(windows >= 0 && count >= 1, "{}: {} has {} values over {} windows", file_.path(), name, count, windows);
      const std::byte* values = take(static_cast<size_t>(count) * sizeof(float), name);
      ImportanceEntry entry{{}, {static_cast<double>(std::max(windows, 1))}};
      entry.sums.resize(static_cast<size_t>(count));
      for (double& sum : entry.sums) {
        float value;
        std::memcpy(&value, values, sizeof value);
        values += sizeof value;
        sum = value;
      }
      check_entry(file_.path(), name, entry);
      require(matrix.entries.emplace(name, std::move(entry)).second, "{}: has {} twice", file_.path(), name);
    }
    if (position_ < file_.size()) {
      matrix.chunks = std::max(number("the number of windows"), 0);
      matrix.datasets.push_back(text("the text's name"));
    }
    return matrix;
  }

 private:
  const std::byte* take(size_t bytes, std::string_view what) {
    require(bytes <= file_.size() - position_,
            "{}: {} at byte {} needs {} bytes, {} remain (truncated or damaged file)", file_.path(), what, position_,
            bytes, file_.size() - position_);
    position_ += bytes;
    return file_.data() + position_ - bytes;
  }
  int32_t number(std::string_view what) {
    int32_t value;
    std::memcpy(&value, take(sizeof value, what), sizeof value);
    return value;
  }
  std::string text(std::string_view what) {
    const int32_t length = number(what);
    require(length >= 0, "{}: {} has {} bytes", file_.path(), what, length);
    return {reinterpret_cast<const char*>(take(static_cast<size_t>(length), what)), static_cast<size_t>(length)};
  }

  MappedFile file_;
  size_t position_ = 0;
};

}  // namespace

std::vector<float> ImportanceMatrix::weights(const std::string& tensor, int64_t columns) const {
  const auto found = entries.find(tensor);
  if (found == entries.end()) return {};
  const ImportanceEntry& entry = found->second;
  require(entry.counts.size() == 1 && static_cast<int64_t>(entry.sums.size()) == columns,
          "{}: {} has {} columns in the importance matrix, {} in the model; it belongs to another model", origin,
          tensor, entry.sums.size() / entry.counts.size(), columns);
  const double mean = std::accumulate(entry.sums.begin(), entry.sums.end(), 0.0) / static_cast<double>(columns);
  if (entry.counts[0] <= 0 || mean <= 0) return {};
  std::vector<float> result;
  result.reserve(entry.sums.size());
  for (const double sum : entry.sums) result.push_back(static_cast<float>(sum / mean));
  return result;
}

ImportanceMatrix read_importance_matrix(const std::string& path) {
  bool gguf = false;
  {
    const MappedFile file(path);
    gguf = file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) == 0;
  }
  ImportanceMatrix matrix = gguf ? read_gguf(path) : LegacyReader(path).read();
  require(!matrix.entries.empty(), "{}: the importance matrix has no entries", path);
  matrix.origin = std::filesystem::path(path).filename().string();
  return matrix;
}

void write_importance_matrix(const std::string& path, const ImportanceMatrix& matrix) {
  GgufWriter writer;
  writer.set("general.type", "imatrix");
  writer.set("imatrix.datasets", matrix.datasets);
  writer.set("imatrix.chunk_count", static_cast<uint32_t>(matrix.chunks));
  writer.set("imatrix.chunk_size", static_cast<uint32_t>(matrix.chunk_tokens));
  std::vector<const std::vector<double>*> values;
  for (const auto& [name, entry] : matrix.entries) {
    const auto matrices = static_cast<int64_t>(entry.counts.size());
    writer.add_tensor(name + kSums, DType::F32, {matrices, static_cast<int64_t>(entry.sums.size()) / matrices});
    writer.add_tensor(name + kCounts, DType::F32, {matrices, 1});
    values.push_back(&entry.sums);
    values.push_back(&entry.counts);
  }
  writer.write(path, [&](size_t index, const GgufWriter::Sink& sink) {
    const std::vector<float> floats(values[index]->begin(), values[index]->end());
    sink(floats.data(), floats.size() * sizeof(float));
  });
}

}  // namespace margay
