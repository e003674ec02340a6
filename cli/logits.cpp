// margay logits: a model's answers as numbers, to compare with another program's.
#include <memory>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"
#include "formats/safetensors.h"
#include "runtime/session.h"

namespace margay {
namespace {

struct Options {
  std::string model, tokens, output;
  int64_t piece = 0;
  int threads = 1;
  std::vector<std::string> loras;
  bool reference = false, softmax = false, window_only = false, float_products = false;
};

struct TokenRows {
  int64_t rows, length;      // B, T
  std::vector<int32_t> ids;  // [B, T]
};

TokenRows read_tokens(const std::string& path) {
  const Safetensors file(path);
  const TensorEntry& tensor = file.tensor("input_ids");
  require(tensor.shape.size() == 1 || tensor.shape.size() == 2, "{}: input_ids has shape {}, expected [B, T]", path,
          shape_text(tensor.shape));
  TokenRows tokens{tensor.shape.size() == 2 ? tensor.shape[0] : 1, tensor.shape.back(), {}};
  for (const int64_t id : to_int64(tensor)) {
    require(id >= 0 && id <= INT32_MAX, "{}: input_ids holds {}, which is no token id", path, id);
    tokens.ids.push_back(static_cast<int32_t>(id));
  }
  require(!tokens.ids.empty(), "{}: input_ids is empty", path);
  return tokens;
}

void write_logits(const std::string& path, const TokenRows& tokens, int64_t vocabulary, const Buffer& logits) {
  const auto bytes = [](const void* data) { return static_cast<const std::byte*>(data); };
  const std::vector<int64_t> ids(tokens.ids.begin(), tokens.ids.end());
  const TensorEntry entries[] = {
      {"input_ids", DType::I64, {tokens.rows, tokens.length}, bytes(ids.data()), ids.size() * sizeof(int64_t)},
      {"logits", DType::F32, {tokens.rows, tokens.length, vocabulary}, logits.data(), logits.size()},
  };
  write_safetensors(path, entries);
}

// Feeds a row, in pieces where the user asks for that; logits [T, vocabulary].
void row_logits(Session& session, std::span<const int32_t> row, int64_t piece, float* logits) {
  const size_t length = piece > 0 ? static_cast<size_t>(piece) : row.size();
  for (size_t begin = 0; begin < row.size(); begin += length) {
    session.feed_all_logits(row.subspan(begin, std::min(length, row.size() - begin)),
                            [&](int64_t, int64_t, int64_t, std::span<const float> part) {
                              logits = std::copy(part.begin(), part.end(), logits);
                            });
    throw_if_interrupted();
  }
}

void logits(const Options& options) {
  const TokenRows tokens = read_tokens(options.tokens);
  const Model model(options.model, {}, lora_files(options.loras));
  Team team(options.threads);
  SessionOptions settings;
  settings.capacity = tokens.length;
  settings.softmax = options.softmax;
  settings.window_only = options.window_only;
  settings.float_products = options.float_products;
  settings.reference = options.reference;
  Session session(model, team, settings);
  const size_t row_floats = static_cast<size_t>(tokens.length * session.vocabulary());
  const Buffer values(row_floats * static_cast<size_t>(tokens.rows) * sizeof(float));
  Progress progress("logits", tokens.rows * tokens.length, "tokens");
  for (int64_t row = 0; row < tokens.rows; ++row) {
    session.reset();
    const auto ids =
        std::span(tokens.ids).subspan(static_cast<size_t>(row * tokens.length), static_cast<size_t>(tokens.length));
    row_logits(session, ids, options.piece, values.as<float>() + static_cast<size_t>(row) * row_floats);
    progress.advance(tokens.length);
  }
  write_logits(options.output, tokens, session.vocabulary(), values);
  progress.finish();
}

}  // namespace

void add_logits(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Computes a model's logits for given tokens, for comparison with other programs: reads input_ids [B, T] (I32 or\n"
      "I64) and writes input_ids [B, T] (I64) and logits [B, T, vocabulary] (F32), both as safetensors. The logits "
      "must\n"
      "fit the memory: 4 x B x T x vocabulary bytes.");
  add_model(app, options->model);
  app.add_option("--tokens", options->tokens, "safetensors file with input_ids; rows are independent")
      ->required()
      ->type_name("FILE.safetensors");
  app.add_option("-o,--output", options->output, "safetensors file to write")->required()->type_name("OUT.safetensors");
  app.add_option("--piece", options->piece, "feed pieces of N tokens, as decoding does with 1; default: the whole row")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  add_lora(app, options->loras);
  add_reference(app, options->reference);
  app.add_flag("--softmax", options->softmax, "run a linearized model as its softmax base (LoRA stays in)");
  app.add_flag("--window-only", options->window_only, "leave out the linear terms, to see what they do");
  app.add_flag("--float", options->float_products, "multiply quantized weights in float32: slower, a little closer");
  add_threads(app, options->threads);
  app.footer(
      "Example:\n"
      "  margay logits linear.gguf --tokens golden.safetensors -o logits.safetensors\n");
  app.callback([options] { logits(*options); });
}

}  // namespace margay
