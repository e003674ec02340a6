#include "convert/tensor_stream.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/threads.h"
#include "models/rope_permutation.h"
#include "ops/quant/convert.h"

namespace margay {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kChunkBytes = 8 << 20;  // of output that is converted at a time

// Types that ops/quant converts to and from float32.
bool has_kernels(DType type) {
  float value = 0;
  try {
    dequantize_row(type, &value, &value, 0);
  } catch (const Error&) {
    return false;
  }
  return true;
}

// Whether rows are copied as they are.
bool copies_rows(const TensorJob& job) { return job.from == job.to && job.plus == 0 && job.merged.empty(); }

void check_job(const TensorJob& job) {
  if (copies_rows(job)) return;
  require((is_float(job.from) || has_kernels(job.from)) && has_kernels(job.to),
          "tensor {}: {} cannot be converted to {} yet", job.name, type_name(job.from), type_name(job.to));
}

// One thread's memory: a row in three forms.
struct RowBuffers {
  std::vector<std::byte> source;  // aligned copy
  std::vector<float> values, back;
};

void read_row(const TensorJob& job, const std::byte* row, int64_t n, RowBuffers& buffers) {
  const auto bytes = static_cast<size_t>(row_bytes(job.from, n));
  buffers.values.resize(static_cast<size_t>(n));
  const bool fast = job.from == DType::F32 || job.from == DType::F16 || job.from == DType::BF16;
  if (is_float(job.from) && !fast) return read_floats(job.from, row, static_cast<size_t>(n), buffers.values.data());
  buffers.source.resize(bytes);
  std::memcpy(buffers.source.data(), row, bytes);
  dequantize_row(job.from, buffers.source.data(), buffers.values.data(), n);
}

struct RowResult {
  double squared_error = 0, squared = 0;
  int64_t bad = -1;  // a column where the source or the result is not finite
};

// Row r of the output's order.
void add_low_rank(const LowRank& low, int64_t r, float* row, int64_t n) {
  for (int64_t k = 0; k < low.rank; ++k) {
    const float factor = low.scale * low.b[r * low.rank + k];
    for (int64_t i = 0; i < n; ++i) row[i] += factor * low.a[k * n + i];
  }
}

RowResult convert_row(const TensorJob& job, const std::byte* row, int64_t r, std::byte* out, int64_t n,
                      RowBuffers& buffers, Isa isa) {
  read_row(job, row, n, buffers);
  if (job.plus != 0)
    for (float& value : buffers.values) value += job.plus;
  for (const LowRank& low : job.merged) add_low_rank(low, r, buffers.values.data(), n);
  quantize_row(job.to, buffers.values.data(), out, n, job.importance, isa);
  buffers.back.resize(static_cast<size_t>(n));
  dequantize_row(job.to, out, buffers.back.data(), n);
  RowResult result;
  for (int64_t i = 0; i < n; ++i) {
    const double value = buffers.values[static_cast<size_t>(i)];
    const double error = buffers.back[static_cast<size_t>(i)] - value;
    if (!std::isfinite(error) && result.bad < 0) result.bad = i;
    result.squared_error += error * error;
    result.squared += value * value;
  }
  return result;
}

// Says which value of the source a type cannot hold. A row's own values tell a damaged source from a narrow type.
[[noreturn]] void fail_not_finite(const TensorJob& job, const std::byte* row, int64_t r, int64_t n, int64_t column) {
  RowBuffers buffers;
  read_row(job, row, n, buffers);
  const float value = buffers.values[static_cast<size_t>(column)];
  require(std::isfinite(value), "tensor {}: row {}, column {} is {}: the source is damaged", job.name, r, column,
          value);
  fail("tensor {}: row {}, column {} is {}, which {} cannot hold; use bf16 or f32", job.name, r, column, value,
       type_name(job.to));
}

class Stream {
 public:
  Stream(int threads, Progress& progress, ConvertReport& report)
      : team_(threads), buffers_(static_cast<size_t>(threads)), progress_(progress), report_(report) {}

  void write(const TensorJob& job, const GgufWriter::Sink& sink) {
    // Elements of a vector that change their order are rows of one.
    const int64_t columns = job.rope_head != 0 && job.shape.size() == 1 ? 1 : job.shape.back();
    int64_t elements = 1;
    for (const int64_t dimension : job.shape) elements *= dimension;
    TypeTotal total;
    total.tensors = 1;
    const int64_t rows = elements > 0 ? elements / columns : 0, row_out = row_bytes(job.to, columns),
                  step = std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, row_out));
    for (int64_t begin = 0; begin < rows; begin += step) {
      throw_if_interrupted();
      const int64_t count = std::min(step, rows - begin);
      const auto bytes = static_cast<size_t>(count * row_out);
      if (copies_rows(job) && job.rope_head == 0) {
        sink(job.data + begin * row_out, bytes);
      } else {
        chunk_.resize(bytes);
        convert_chunk(job, begin, count, columns, total);
        sink(chunk_.data(), bytes);
      }
      if (job.mapped) {
        const int64_t row_in = row_bytes(job.from, columns);
        release_pages(job.data + begin * row_in, static_cast<size_t>(count * row_in));
      }
      total.bytes += bytes;
      progress_.advance(static_cast<int64_t>(bytes));
    }
    report_.types[job.to] += total;
    report_.rows.push_back({job.name, job.from, job.to, total});
  }

 private:
  const std::byte* source_row(const TensorJob& job, int64_t row, int64_t columns) const {
    const int64_t from = job.rope_head ? half_split_row(row, job.rope_head) : row;
    return job.data + from * row_bytes(job.from, columns);
  }

  void convert_chunk(const TensorJob& job, int64_t begin, int64_t count, int64_t columns, TypeTotal& total) {
    const int64_t row_out = row_bytes(job.to, columns);
    results_.assign(static_cast<size_t>(count), {});
    team_.run([&](int thread) {
      // Nothing in here throws: check_job() has seen the types and the rows fit them.
      for (int64_t i = count * thread / team_.size(); i < count * (thread + 1) / team_.size(); ++i) {
        const std::byte* row = source_row(job, begin + i, columns);
        std::byte* out = chunk_.data() + i * row_out;
        if (copies_rows(job)) std::memcpy(out, row, static_cast<size_t>(row_out));
        else
          results_[static_cast<size_t>(i)] =
              convert_row(job, row, begin + i, out, columns, buffers_[static_cast<size_t>(thread)], isa_);
      }
    });
    if (copies_rows(job)) return;
    // Summed by rows, in order: the report does not depend on the number of threads.
    for (int64_t i = 0; i < count; ++i) {
      const RowResult& result = results_[static_cast<size_t>(i)];
      if (result.bad >= 0) fail_not_finite(job, source_row(job, begin + i, columns), begin + i, columns, result.bad);
      total.squared_error += result.squared_error;
      total.squared += result.squared;
    }
    total.converted += count * columns;
  }

  Team team_;
  const Isa isa_ = chosen_isa();
  std::vector<RowBuffers> buffers_;
  std::vector<std::byte> chunk_;
  std::vector<RowResult> results_;
  Progress& progress_;
  ConvertReport& report_;
};

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

void check_disk(const std::string& out, uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(folder_of(out), error);
  if (error) return;  // the write itself will tell
  require(space.available >= bytes, "{}: needs {}, its disk has {} free", out,
          amount_text(static_cast<double>(bytes), "B"), amount_text(static_cast<double>(space.available), "B"));
}

}  // namespace

double TypeTotal::rms_error() const {
  return converted > 0 ? std::sqrt(squared_error / static_cast<double>(converted)) : 0;
}

TypeTotal& TypeTotal::operator+=(const TypeTotal& other) {
  tensors += other.tensors;
  bytes += other.bytes;
  converted += other.converted;
  squared_error += other.squared_error;
  squared += other.squared;
  return *this;
}

double TypeTotal::relative_error() const { return squared > 0 ? std::sqrt(squared_error / squared) : 0; }

void check_output(const std::string& out, const std::vector<std::string>& inputs) {
  std::error_code ignored;
  require(!out.empty(), "no output file is named");
  require(!is_directory(out), "{}: is a folder; name the file to write", out);
  require(is_directory(folder_of(out)), "{}: there is no folder {}; create it first", out, folder_of(out));
  for (const std::string& input : inputs)
    require(!fs::equivalent(out, input, ignored), "{}: is the input itself; name another output file", out);
}

void write_tensors(GgufWriter& writer, const std::string& out, const std::vector<TensorJob>& jobs, int threads,
                   ConvertReport& report) {
  const auto start = std::chrono::steady_clock::now();
  int64_t total = 0;
  for (const TensorJob& job : jobs) {
    check_job(job);
    const size_t index = writer.add_tensor(job.name, job.to, job.shape);
    total += static_cast<int64_t>(writer.tensor(index).bytes);
    report.bytes_before += tensor_bytes(job.from, job.shape, "tensor " + job.name);
  }
  check_disk(out, writer.data_bytes());
  Progress progress("writing " + out, total, "B");
  Stream stream(threads, progress, report);
  writer.write(out, [&](size_t index, const GgufWriter::Sink& sink) { stream.write(jobs[index], sink); });
  progress.finish();
  report.tensors += static_cast<int64_t>(jobs.size());
  report.bytes_after += static_cast<uint64_t>(total);
  report.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace margay
