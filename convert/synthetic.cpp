#include "convert/synthetic.h"

#include <cmath>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "convert/huggingface_models.h"
#include "convert/synthetic_vocabulary.h"
#include "convert/target_type.h"
#include "models/weights.h"
#include "ops/quant/convert.h"

namespace margay {
namespace {

constexpr int64_t kPoolElements = int64_t{1} << 20;  // random numbers that are quantized; tensors repeat them

ModelConfig config_of(const SyntheticShape& shape) {
  ModelConfig config;
  config.architecture = "llama";
  config.layers = shape.layers, config.width = shape.width, config.feed_forward = shape.feed_forward;
  config.vocabulary = shape.vocabulary, config.context = shape.context;
  config.heads = shape.heads, config.kv_heads = shape.kv_heads, config.head_dim = shape.head_dim;
  config.rope_dimensions = shape.head_dim;
  config.rope_base = shape.rope_base;
  return config;
}

LinearConfig linear_of(const ModelConfig& config, bool linear) {
  LinearConfig result;
  if (linear) result.layers.assign(static_cast<size_t>(config.layers), true);
  result.feature_dim = config.head_dim;
  result.key_map_heads = config.heads;
  return result;
}

std::vector<float> rope_factors_of(const SyntheticShape& shape) {
  if (shape.rope_factor == 0) return {};
  return llama3_rope_factors({.factor = shape.rope_factor}, shape.rope_base, shape.head_dim);
}

// Random rows of one type and length, made once. Each element is normal with deviation 1 / sqrt(length), so that a
// product keeps the size of what goes in and activations stay finite through any number of layers.
class RowPool {
 public:
  RowPool(DType type, int64_t length, uint64_t seed)
      : row_bytes_(static_cast<size_t>(row_bytes(type, length))), rows_(std::max<int64_t>(16, kPoolElements / length)) {
    Random random(seed, static_cast<uint64_t>(length));
    const double scale = 1 / std::sqrt(static_cast<double>(length));
    std::vector<float> row(static_cast<size_t>(length));
    bytes_.resize(static_cast<size_t>(rows_) * row_bytes_);
    for (int64_t r = 0; r < rows_; ++r) {
      for (float& value : row) value = static_cast<float>(scale * random.normal());
      quantize_row(type, row.data(), bytes_.data() + static_cast<size_t>(r) * row_bytes_, length);
    }
  }

  // `rows` rows, from a place of its own for each tensor.
  void write(int64_t rows, Random& random, const GgufWriter::Sink& sink) const {
    auto first = static_cast<int64_t>(random.below(static_cast<uint64_t>(rows_)));
    for (; rows > 0; first = 0) {
      const int64_t count = std::min(rows, rows_ - first);
      sink(bytes_.data() + static_cast<size_t>(first) * row_bytes_, static_cast<size_t>(count) * row_bytes_);
      rows -= count;
    }
  }

 private:
  size_t row_bytes_;
  int64_t rows_;
  std::vector<std::byte> bytes_;
};

class Synthesis {
 public:
  explicit Synthesis(const SyntheticOptions& options)
      : options_(options),
        shape_(synthetic_shape(options.shape)),
        config_(config_of(shape_)),
        linear_(linear_of(config_, options.linear)),
        factors_(rope_factors_of(shape_)),
        random_(options.seed) {
    write_model_config(writer_, config_, linear_);
    writer_.set("general.name", fmt::format("{}, random weights", options.shape));
    writer_.set("general.file_type", options.type.file_type);
    writer_.set("general.quantization_version", uint32_t{2});
    for (const TensorName& tensor : hf_tensors(hf_model("llama"), config_, {.tied = shape_.tied}))
      add(tensor.target, tensor.shape);
    if (!factors_.empty()) add("rope_freqs.weight", {static_cast<int64_t>(factors_.size())});
    if (options.linear) add_maps();
  }

  const GgufWriter& writer() const { return writer_; }
  void add_vocabulary() { write_synthetic_vocabulary(writer_, config_.vocabulary); }

  void produce(size_t index, const GgufWriter::Sink& sink) {
    const TensorEntry& tensor = writer_.tensor(index);
    const int64_t length = tensor.shape.back();
    if (tensor.name == "rope_freqs.weight") return sink(factors_.data(), tensor.bytes);
    if (tensor.shape.size() == 1) return write_vector(tensor, sink);
    const auto key = std::make_pair(tensor.dtype, length);
    auto pool = pools_.find(key);
    if (pool == pools_.end()) pool = pools_.try_emplace(key, tensor.dtype, length, options_.seed).first;
    pool->second.write(tensor.elements() / length, random_, sink);
  }

 private:
  void add(const std::string& name, const std::vector<int64_t>& shape) {
    const ModelFacts facts{shape_.tied, shape_.layers, shape_.heads / shape_.kv_heads};
    writer_.add_tensor(name, choose_type(name, shape, options_.type, facts).type, shape);
  }

  void add_maps() {
    const int64_t f = linear_.feature_dim, d = config_.head_dim;
    for (int64_t l = 0; l < config_.layers; ++l) {
      add(block_name(l, "attn_fmap_q.weight"), {config_.heads, f, d});
      add(block_name(l, "attn_fmap_k.weight"), {config_.heads, f, d});
      add(block_name(l, "attn_window_factor"), {config_.heads});
    }
  }

  // Norms are near 1, window factors (logits) near 0.
  void write_vector(const TensorEntry& tensor, const GgufWriter::Sink& sink) {
    const double middle = tensor.name.find("norm") != std::string::npos ? 1 : 0;
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    for (float& value : values) value = static_cast<float>(middle + 0.1 * random_.normal());
    sink(values.data(), values.size() * sizeof(float));
  }

  const SyntheticOptions options_;
  const SyntheticShape& shape_;
  const ModelConfig config_;
  const LinearConfig linear_;
  const std::vector<float> factors_;
  Random random_;
  GgufWriter writer_;
  std::map<std::pair<DType, int64_t>, RowPool> pools_;
};

}  // namespace

const std::vector<SyntheticShape>& synthetic_shapes() {
  static const std::vector<SyntheticShape> kShapes = {
      // name, layers, width, heads, KV heads, head, FFN, vocabulary, context, tied, RoPE base, RoPE factor
      {"llama-3.2-1b", 16, 2048, 32, 8, 64, 8192, 128256, 131072, true, 500000, 32},
      {"llama-3.2-3b", 28, 3072, 24, 8, 128, 8192, 128256, 131072, true, 500000, 32},
      {"llama-3-8b", 32, 4096, 32, 8, 128, 14336, 128256, 8192, false, 500000, 0},
      {"mistral-7b", 32, 4096, 32, 8, 128, 14336, 32768, 32768, false, 1000000, 0},
      {"llama-2-7b", 32, 4096, 32, 32, 128, 11008, 32000, 4096, false, 10000, 0},
      {"llama-3.1-70b", 80, 8192, 64, 8, 128, 28672, 128256, 131072, false, 500000, 8},
      {"base-16m", 8, 384, 6, 2, 64, 1024, 8192, 2048, true, 10000, 0},
  };
  return kShapes;
}

const SyntheticShape& synthetic_shape(const std::string& name) {
  std::string names;
  for (const SyntheticShape& shape : synthetic_shapes()) {
    if (name == shape.name) return shape;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", shape.name);
  }
  fail("unknown shape '{}'; there are {}", name, names);
}

uint64_t synthetic_bytes(const SyntheticOptions& options) { return Synthesis(options).writer().data_bytes(); }

void write_synthetic(const SyntheticOptions& options, const std::string& path) {
  Synthesis synthesis(options);
  synthesis.add_vocabulary();
  synthesis.writer().write(path, [&](size_t index, const GgufWriter::Sink& sink) { synthesis.produce(index, sink); });
}

void stream_synthetic(const SyntheticOptions& options, const std::function<void(const void*, size_t)>& out) {
  Synthesis synthesis(options);
  synthesis.add_vocabulary();
  synthesis.writer().stream(out, options.shape,
                            [&](size_t index, const GgufWriter::Sink& sink) { synthesis.produce(index, sink); });
}

}  // namespace margay
