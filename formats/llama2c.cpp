#include "formats/llama2c.h"

#include <cstring>
#include <optional>

#include "base/error.h"
#include "formats/gguf.h"

namespace margay {
namespace {

constexpr uint32_t kMagic = 0x616b3432;  // "ak42"
constexpr uint64_t kVersion1Header = 256;
constexpr int64_t kLegacyHeader = 28;

struct Header {
  int32_t width, feed_forward, layers, heads, kv_heads, vocabulary, context;
};

struct Layout {
  Header header;
  bool version1, shared_head;
};

template <class T>
T load(const MappedFile& file, size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

bool in_range(const Header& h) {
  const auto between = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
  return between(h.width, 1 << 20) && between(h.feed_forward, 1 << 24) && between(h.layers, 10000) &&
         between(h.heads, 1 << 14) && between(h.kv_heads, h.heads) && between(h.vocabulary, 1 << 24) &&
         between(h.context, 1 << 30) && h.width % h.heads == 0 && h.heads % h.kv_heads == 0 &&
         h.width / h.heads % 2 == 0;
}

struct Part {
  std::string name;
  std::vector<int64_t> shape;
};

// The tensors in the file's order; a part without a name is skipped.
std::vector<Part> parts_of(const Layout& layout) {
  const Header& h = layout.header;
  const int64_t c = h.width, d = c / h.heads, kv = d * h.kv_heads, f = h.feed_forward, v = h.vocabulary;
  std::vector<Part> parts;
  const auto each_layer = [&](const char* name, const std::vector<int64_t>& shape) {
    for (int32_t l = 0; l < h.layers; ++l) parts.push_back({fmt::format("blk.{}.{}.weight", l, name), shape});
  };
  const auto attention = [&] {
    each_layer("attn_q", {c, c});
    each_layer("attn_k", {kv, c});
    each_layer("attn_v", {kv, c});
    each_layer("attn_output", {c, c});
  };
  const auto feed_forward = [&] {
    each_layer("ffn_gate", {f, c});
    each_layer("ffn_down", {c, f});
    each_layer("ffn_up", {f, c});
  };
  if (layout.version1) {
    each_layer("attn_norm", {c});
    each_layer("ffn_norm", {c});
    parts.push_back({"output_norm.weight", {c}});
    parts.push_back({"token_embd.weight", {v, c}});
    attention();
    feed_forward();
  } else {
    parts.push_back({"token_embd.weight", {v, c}});
    each_layer("attn_norm", {c});
    attention();
    each_layer("ffn_norm", {c});
    feed_forward();
    parts.push_back({"output_norm.weight", {c}});
    parts.push_back({"", {h.context, d}});  // cosines and sines of RoPE
  }
  if (!layout.shared_head) parts.push_back({"output.weight", {v, c}});
  return parts;
}

// Bytes that the file must have; none where the numbers are too large for any file.
std::optional<uint64_t> file_bytes(const Layout& layout) {
  __int128 bytes = layout.version1 ? static_cast<int64_t>(kVersion1Header) : kLegacyHeader;
  const Header& h = layout.header;
  const __int128 c = h.width, kv = c / h.heads * h.kv_heads, v = h.vocabulary;
  const __int128 a_layer = 2 * c + 2 * c * c + 2 * kv * c + 3 * c * h.feed_forward;
  bytes += 4 * (a_layer * h.layers + c + v * c * (layout.shared_head ? 1 : 2));
  if (!layout.version1) bytes += 4 * static_cast<__int128>(h.context) * (h.width / h.heads);
  if (bytes > INT64_MAX) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

std::optional<Layout> legacy_layout(const MappedFile& file) {
  if (file.size() < sizeof(Header)) return std::nullopt;
  Layout layout{load<Header>(file, 0), false, true};
  if (layout.header.vocabulary < 0 && layout.header.vocabulary != INT32_MIN) {
    layout.header.vocabulary = -layout.header.vocabulary;  // a head of its own
    layout.shared_head = false;
  }
  if (!in_range(layout.header) || file_bytes(layout) != file.size()) return std::nullopt;
  return layout;
}

bool has_magic(const MappedFile& file) { return file.size() >= 4 && load<uint32_t>(file, 0) == kMagic; }

Layout read_layout(const MappedFile& file) {
  const std::string& path = file.path();
  if (!has_magic(file)) {
    const std::optional<Layout> legacy = legacy_layout(file);
    require(legacy.has_value(), "{}: {} bytes do not fit the header of a llama2.c checkpoint (truncated?)", path,
            file.size());
    return *legacy;
  }
  require(file.size() >= kVersion1Header, "{}: {} bytes, too short for llama2.c's header", path, file.size());
  const auto version = load<int32_t>(file, 4);
  require(version == 1, "{}: version {} of llama2.c's format is not supported (the float32 ones, legacy and 1, are)",
          path, version);
  const auto shared = load<uint8_t>(file, 36);
  require(shared <= 1, "{}: shared_classifier is {}, expected 0 or 1", path, shared);
  const Layout layout{load<Header>(file, 8), true, shared == 1};
  require(in_range(layout.header), "{}: the header's numbers are out of range (damaged file)", path);
  const auto bytes = file_bytes(layout);
  require(bytes == file.size(), "{}: {} bytes, its header asks for {} (truncated or damaged file)", path, file.size(),
          bytes.value_or(UINT64_MAX));
  return layout;
}

}  // namespace

bool Llama2c::recognizes(const MappedFile& file) { return has_magic(file) || legacy_layout(file).has_value(); }

Llama2c::Llama2c(const std::string& path) : TensorTable(path), file_(path) {
  const Layout layout = read_layout(file_);
  const Header& h = layout.header;
  width = h.width, feed_forward = h.feed_forward, layers = h.layers, heads = h.heads, kv_heads = h.kv_heads;
  vocabulary = h.vocabulary, context = h.context;
  const std::byte* at = file_.data() + (layout.version1 ? kVersion1Header : sizeof(Header));
  for (Part& part : parts_of(layout)) {
    const uint64_t bytes = tensor_bytes(DType::F32, part.shape, path);
    if (!part.name.empty()) add({std::move(part.name), DType::F32, std::move(part.shape), at, bytes});
    at += bytes;
  }
}

void write_llama2c_tokenizer(const std::string& path, int64_t vocabulary, GgufWriter& writer) {
  const MappedFile file(path);
  size_t at = 4;  // after the length of the longest piece
  const auto take = [&](size_t count) {
    require(at <= file.size() && count <= file.size() - at,
            "{}: ends before its {} pieces do (truncated, or another model's tokenizer)", path, vocabulary);
    at += count;
    return at - count;
  };
  // Ids 0 to 2 are <unk>, <s> and </s>, whose texts stand between line breaks; then come 256 bytes and the pieces, in
  // which a space stands for SentencePiece's U+2581.
  constexpr int64_t kUnknown = 0, kBos = 1, kEos = 2, kFirstByte = 3, kFirstPiece = kFirstByte + 256;
  constexpr int32_t kNormal = 1, kUnknownType = 2, kControl = 3, kByte = 6;
  std::vector<std::string> pieces;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (int64_t id = 0; id < vocabulary; ++id) {
    scores.push_back(load<float>(file, take(4)));
    const auto length = load<int32_t>(file, take(4));
    require(length >= 0, "{}: piece {} has {} bytes (damaged file)", path, id, length);
    const std::string_view text = file.text().substr(take(static_cast<size_t>(length)), static_cast<size_t>(length));
    std::string piece;
    for (const char c : text) piece += id >= kFirstPiece && c == ' ' ? "\u2581" : std::string(1, c);
    if (id == kBos) piece = "<s>";
    if (id == kEos) piece = "</s>";
    pieces.push_back(std::move(piece));
    types.push_back(id == kUnknown ? kUnknownType : id < kFirstByte ? kControl : id < kFirstPiece ? kByte : kNormal);
  }
  require(at == file.size(), "{}: has more than the model's {} pieces (another model's tokenizer)", path, vocabulary);
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.tokens", pieces);
  writer.set("tokenizer.ggml.scores", scores);
  writer.set("tokenizer.ggml.token_type", types);
  const auto u32 = [](int64_t id) { return static_cast<uint32_t>(id); };
  writer.set("tokenizer.ggml.bos_token_id", u32(kBos));
  writer.set("tokenizer.ggml.eos_token_id", u32(kEos));
  writer.set("tokenizer.ggml.unknown_token_id", u32(kUnknown));
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.ggml.add_eos_token", false);
  writer.set("tokenizer.ggml.add_space_prefix", true);
}

}  // namespace margay
