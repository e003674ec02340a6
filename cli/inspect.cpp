// margay inspect: what a model file holds.
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"
#include "convert/source.h"
#include "formats/checkpoint.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "formats/llama2c.h"

namespace margay {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestText = 4096;  // bytes of a string in --json

struct Options {
  int threads = 1;  // accepted as everywhere; the work is one thread's
  std::string file;
  size_t values = 8;  // of an array
  bool tensors = true, json = false;
};

// What all formats have in common.
struct Contents {
  std::string format;
  Json metadata = Json::object();                                  // for --json
  std::vector<std::pair<std::string, std::string>> metadata_text;  // for people
  std::vector<TensorEntry> tensors;
  std::vector<std::pair<std::string, std::string>> unsupported;  // tensor, type
  uint64_t file_bytes = 0;
};

// A GGUF value as JSON; a long array or text (a whole tokenizer) only as {type, count}.
Json gguf_value(const GgufFile& file, const GgufMetadata& entry, size_t limit) {
  const auto counted = [](GgufType type, size_t count) -> Json {
    return {{"type", gguf_type_name(type)}, {"count", count}};
  };
  if (entry.type == GgufType::String) {
    const std::string_view text = file.string(entry.key);
    return text.size() > kLongestText ? counted(entry.type, text.size()) : Json(std::string(text));
  }
  if (entry.type != GgufType::Array) {
    const std::string text = gguf_value_text(entry);
    const Json value = Json::parse(text, nullptr, false);
    return value.is_discarded() ? Json(text) : value;  // "inf" and "nan" are no JSON
  }
  if (entry.count > limit || entry.element == GgufType::Array) return counted(entry.element, entry.count);
  switch (entry.element) {
    case GgufType::String: {
      Json strings = Json::array();
      for (const std::string_view text : file.strings(entry.key)) strings.push_back(std::string(text));
      return strings;
    }
    case GgufType::Bool:
      return file.booleans(entry.key);
    case GgufType::F32:
    case GgufType::F64:
      return file.floats(entry.key);
    default:
      return file.integers(entry.key);
  }
}

Contents read_gguf(const Options& options) {
  const GgufFile file(options.file);
  Contents contents;
  contents.format = fmt::format("GGUF version {}", file.version());
  contents.file_bytes = file.file_bytes();
  contents.tensors = file.tensors();
  for (const GgufMetadata& entry : file.metadata()) {
    contents.metadata_text.emplace_back(entry.key, gguf_value_text(entry, options.values));
    contents.metadata[std::string(entry.key)] = gguf_value(file, entry, options.values);
  }
  return contents;
}

void add_metadata(Contents& contents, const std::string& prefix, const Json& value) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, inner] : value.items())
      add_metadata(contents, prefix.empty() ? key : prefix + "." + key, inner);
  } else {
    contents.metadata_text.emplace_back(prefix, value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
}

// Files of weights, or a folder with them and config.json.
Contents read_checkpoint(const Options& options, const char* format) {
  const Checkpoint file(options.file);
  Contents contents;
  contents.format = format;
  contents.tensors = file.tensors();
  for (const auto& [name, type] : file.unsupported()) contents.unsupported.emplace_back(name, type);
  for (const auto& [key, value] : file.metadata()) contents.metadata[key] = value;
  const std::string config = options.file + "/config.json";
  if (is_directory(options.file) && file_exists(config))
    contents.metadata["config.json"] = Json::parse(parse_json(read_text_file(config), config).dump());
  add_metadata(contents, "", contents.metadata);
  std::error_code error;
  for (const std::string& name : file.files()) contents.file_bytes += std::filesystem::file_size(name, error);
  return contents;
}

Contents read_llama2c(const Options& options) {
  const Llama2c file(options.file);
  Contents contents;
  contents.format = "llama2.c checkpoint";
  contents.tensors = file.tensors();
  contents.metadata = {{"dim", file.width},          {"hidden_dim", file.feed_forward}, {"n_layers", file.layers},
                       {"n_heads", file.heads},      {"n_kv_heads", file.kv_heads},     {"vocab_size", file.vocabulary},
                       {"max_seq_len", file.context}};
  add_metadata(contents, "", contents.metadata);
  contents.file_bytes = std::filesystem::file_size(options.file);
  return contents;
}

Contents read(const Options& options) {
  switch (detect_source(options.file)) {
    case SourceKind::kGguf:
      return read_gguf(options);
    case SourceKind::kLlama2c:
      return read_llama2c(options);
    case SourceKind::kSafetensors:
      return read_checkpoint(options, "safetensors");
    case SourceKind::kPyTorch:
      return read_checkpoint(options, "PyTorch checkpoint");
    case SourceKind::kHuggingFace:
      return read_checkpoint(options, "Hugging Face folder");
  }
  return {};
}

struct Totals {
  std::map<std::string, std::pair<int64_t, uint64_t>> types;  // tensors, bytes
  uint64_t bytes = 0, elements = 0;
};

Totals count(const Contents& contents) {
  Totals totals;
  for (const TensorEntry& tensor : contents.tensors) {
    auto& [tensors, bytes] = totals.types[type_name(tensor.dtype)];
    tensors += 1;
    bytes += tensor.bytes;
    totals.bytes += tensor.bytes;
    totals.elements += static_cast<uint64_t>(tensor.elements());
  }
  return totals;
}

void print_json(const Options& options, const Contents& contents) {
  const Totals totals = count(contents);
  Json result = {{"file", options.file},
                 {"format", contents.format},
                 {"file_bytes", contents.file_bytes},
                 {"tensor_count", contents.tensors.size()},
                 {"tensor_bytes", totals.bytes},
                 {"parameters", totals.elements}};
  if (!contents.file_bytes) result.erase("file_bytes");
  result["types"] = Json::object();
  for (const auto& [type, total] : totals.types)
    result["types"][type] = {{"tensors", total.first}, {"bytes", total.second}};
  result["metadata"] = contents.metadata;
  if (options.tensors) {
    result["tensors"] = Json::array();
    for (const TensorEntry& tensor : contents.tensors)
      result["tensors"].push_back(
          {{"name", tensor.name}, {"type", type_name(tensor.dtype)}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
    for (const auto& [name, type] : contents.unsupported)
      result["tensors"].push_back({{"name", name}, {"type", type}, {"unsupported", true}});
  }
  fmt::print("{}\n", result.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string bytes_text(uint64_t bytes) { return amount_text(static_cast<double>(bytes), "B"); }

void print_text(const Options& options, const Contents& contents) {
  const Totals totals = count(contents);
  fmt::print("{}: {}\n\nmetadata ({} keys)\n", options.file, contents.format, contents.metadata_text.size());
  for (const auto& [key, value] : contents.metadata_text) fmt::print("  {:<44} {}\n", key, value);
  if (options.tensors) {
    fmt::print("\ntensors (shapes slowest dimension first)\n");
    for (const TensorEntry& tensor : contents.tensors)
      fmt::print("  {:<44} {:<5} {:<18} {:>9}\n", tensor.name, type_name(tensor.dtype), shape_text(tensor.shape),
                 bytes_text(tensor.bytes));
    for (const auto& [name, type] : contents.unsupported) fmt::print("  {:<44} {} (not supported)\n", name, type);
  }
  fmt::print("\ntotals\n");
  for (const auto& [type, total] : totals.types)
    fmt::print("  {:<5} {:>5} tensors {:>9}\n", type, total.first, bytes_text(total.second));
  fmt::print("  {} tensors, {}, {}\n", contents.tensors.size(),
             amount_text(static_cast<double>(totals.elements), "parameters"), bytes_text(totals.bytes));
}

void inspect(const Options& options) {
  const Contents contents = read(options);
  if (options.json) print_json(options, contents);
  else print_text(options, contents);
}

}  // namespace

void add_inspect(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Shows what a model file holds: metadata, tensors with type, shape and bytes, and totals. Reads GGUF files\n"
      "(of a split model the first), .safetensors, PyTorch's .bin, .pt and .pth, an index of shards, llama2.c "
      "checkpoints\n"
      "and Hugging Face model folders; the whole structure of the file is checked on the way. PyTorch's pickles are "
      "read\n"
      "by an interpreter that builds tensors and plain data only: no code in a file ever runs.");
  app.add_option("FILE", options->file, "file or folder")->required();
  app.add_option("--values", options->values,
                 "elements of an array to show; with --json longer arrays and texts are only counted")
      ->capture_default_str();
  app.add_flag("!--no-tensors", options->tensors, "metadata and totals only");
  add_threads(app, options->threads);
  add_json(app, options->json, "one JSON object on standard output");
  app.footer(
      "Keys of --json: file, format, file_bytes, tensor_count, tensor_bytes, parameters, types, metadata,\n"
      "tensors [{name, type, shape, bytes}].\n\n"
      "Example:\n"
      "  margay inspect llama-1b.gguf --no-tensors\n");
  app.callback([options] { inspect(*options); });
}

}  // namespace margay
