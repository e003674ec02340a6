// margay bench: speed as a part of what the machine can do at the same time.
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"
#include "convert/synthetic.h"
#include "convert/target_type.h"
#include "convert/tensor_stream.h"
#include "runtime/benchmark.h"
#include "runtime/session.h"

namespace margay {
namespace {

struct Options {
  std::string model, shape, type, write;
  bool linear = false, json = false;
  MapOptions map;
  std::vector<std::string> loras;
  BenchmarkOptions benchmark;
};

// What is measured, and how long it took to load.
struct Subject {
  std::string name;
  std::unique_ptr<Model> model;
  double open_seconds = 0, first_seconds = 0;  // to an open model; from there to its first token's logits
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string mib_text(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

SyntheticOptions synthetic_of(const Options& options) {
  SyntheticOptions synthetic;
  synthetic.shape = options.shape;
  synthetic.type = target_type(options.type);
  synthetic.linear = options.linear;
  return synthetic;
}

// Makes the model that --synthetic asks for; the path to open it by.
std::string make_model(const Options& options, std::optional<MemoryFile>& memory) {
  const SyntheticOptions synthetic = synthetic_of(options);
  const auto bytes = static_cast<int64_t>(synthetic_bytes(synthetic));
  fmt::print(stderr, "making {} of {} with random weights: {} ...\n", options.shape, synthetic.type.name,
             amount_text(static_cast<double>(bytes), "B"));
  if (!options.write.empty()) {
    check_output(options.write, {});
    write_synthetic(synthetic, options.write);
    return options.write;
  }
  const int64_t available = available_memory();
  require(available == 0 || bytes < available,
          "{} of {} needs {}, {} of memory are available; --write FILE puts it on disk", options.shape,
          synthetic.type.name, amount_text(static_cast<double>(bytes), "B"),
          amount_text(static_cast<double>(available), "B"));
  memory.emplace();
  stream_synthetic(synthetic, [&](const void* data, size_t size) { memory->write(data, size); });
  return memory->path();
}

Subject open_subject(const Options& options, const std::string& path) {
  Subject subject;
  subject.name = options.shape.empty() ? path
                                       : fmt::format("{}{} {}", options.shape, options.linear ? " linear" : "",
                                                     target_type(options.type).name);
  reset_peak_resident();
  const auto start = std::chrono::steady_clock::now();
  subject.model = std::make_unique<Model>(path, options.map, lora_files(options.loras));
  subject.open_seconds = seconds_since(start);
  subject.first_seconds = first_token_seconds(*subject.model, options.benchmark.threads.front());
  return subject;
}

void print_json(const Subject& subject, const ModelWork& work, const BenchmarkRow& row) {
  const nlohmann::ordered_json json = {
      {"model", subject.name},
      {"isa", isa_name(chosen_isa())},
      {"test", row.prefill ? "prefill" : "decode"},
      {"threads", row.threads},
      {"tokens", row.tokens},
      {"batch", row.batch},
      {"tokens_per_second", row.rate},
      {"limit", row.limit},
      {"ratio", row.ratio},
      {"limited_by", !row.prefill ? "read"
                     : work.int8  ? "int8"
                                  : "float32"},
      {"read_bytes_per_second", row.limits.read},
      {"int8_per_second", row.limits.int8},
      {"float32_per_second", row.limits.fma},
      {"weight_bytes", subject.model->weight_bytes()},
      {"decode_bytes", work.decode_bytes},
      {"state_bytes", row.state_bytes},
      {"peak_bytes", row.peak_bytes},
      {"load_seconds", subject.open_seconds + subject.first_seconds},
      {"open_seconds", subject.open_seconds},
  };
  print_out(json.dump() + "\n");
}

void print_header(const Subject& subject, const ModelWork& work) {
  fmt::print("{}: weights {}, {} read a token; {:.0f} million multiply-adds a token of a prompt\n", subject.name,
             mib_text(subject.model->weight_bytes()), mib_text(work.decode_bytes), work.prompt_products / 1e6);
  fmt::print("loaded in {:.3f} s ({:.3f} s to open, {:.3f} s for the first token); instruction set {}\n\n",
             subject.open_seconds + subject.first_seconds, subject.open_seconds, subject.first_seconds,
             isa_name(chosen_isa()));
  print_out(fmt::format("{:<8} {:>7} {:>5} {:>7}  {:>9} {:>9} {:>6}  {:>7} {:>7} {:>9}  {:>12} {:>12}\n", "test",
                        "tokens", "batch", "threads", "tokens/s", "limit", "ratio", "GB/s", "int8", "float32", "state",
                        "peak memory"));
}

void print_row(const BenchmarkRow& row) {
  print_out(
      fmt::format("{:<8} {:>7} {:>5} {:>7}  {:>9.2f} {:>9.2f} {:>5.1f}%  {:>7.2f} {:>7.1f} {:>9.1f}  {:>12} {:>12}\n",
                  row.prefill ? "prefill" : "decode", row.tokens, row.batch, row.threads, row.rate, row.limit,
                  100 * row.ratio, row.limits.read / 1e9, row.limits.int8 / 1e9, row.limits.fma / 1e9,
                  mib_text(row.state_bytes), mib_text(row.peak_bytes)));
}

void bench(const Options& options) {
  if (options.model.empty() == options.shape.empty())
    throw CLI::ValidationError("give a model file, or --synthetic SHAPE");
  if (options.shape.empty() && !options.write.empty())
    throw CLI::ValidationError("--write keeps what --synthetic makes: give --synthetic SHAPE with it");
  std::optional<MemoryFile> memory;
  const std::string path = options.shape.empty() ? options.model : make_model(options, memory);
  const Subject subject = open_subject(options, path);
  const ModelWork work(*subject.model);
  if (!options.json) print_header(subject, work);
  measure_benchmark(
      *subject.model, options.benchmark,
      [&](const std::string& what) {
        if (!options.json) fmt::print(stderr, "{} ...\n", what);
      },
      [&](const BenchmarkRow& row) { options.json ? print_json(subject, work, row) : print_row(row); });
}

void add_subject(CLI::App& app, Options& options) {
  app.add_option("MODEL", options.model, "GGUF model, softmax or linearized");
  std::vector<std::string> shapes;
  for (const SyntheticShape& shape : synthetic_shapes()) shapes.emplace_back(shape.name);
  app.add_option("--synthetic", options.shape,
                 "instead of a file: a model of this shape with random weights, in memory. One of " +
                     CLI::detail::join(shapes, ", "))
      ->type_name("SHAPE")
      ->check(CLI::IsMember(shapes));
  app.add_option("--type", options.type, "of its weights; what stays in another type is as `margay convert` has it")
      ->type_name("TYPE")
      ->check([](const std::string& name) {
        try {
          target_type(name);
        } catch (const Error& error) {
          return std::string(error.what());
        }
        return std::string();
      })
      ->capture_default_str();
  app.add_flag("--linear", options.linear, "linearize all its layers: window 64, a random Hedgehog map for each head");
  app.add_option("--write", options.write, "keep it as a GGUF file, and measure that")->type_name("FILE");
}

// Values by commas in one argument, so that a MODEL may follow; given again, it adds to them.
CLI::Option* listed(CLI::Option* option) {
  return option->delimiter(',')
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->capture_default_str();
}

void add_measures(CLI::App& app, BenchmarkOptions& benchmark) {
  benchmark.threads = {default_threads()};
  listed(app.add_option("--prompt", benchmark.prompts, "tokens to prefill; several, by commas"))
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  listed(
      app.add_option("--depth", benchmark.depths, "tokens in a sequence before decoding is timed; several, by commas"))
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24));
  listed(app.add_option("--batch", benchmark.batches, "sequences that are decoded side by side; several, by commas"))
      ->check(CLI::Range(int64_t{1}, kMaxSequences));
  app.add_option("-n,--tokens", benchmark.decode_tokens, "tokens of a sequence to decode in each repeat")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--repeat", benchmark.repeats, "times to measure the limits and the model, in turn")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--random-state", benchmark.random_state,
               "do not prefill up to a depth: prefill a few windows and put that state there");
  app.add_flag("--softmax", benchmark.softmax, "run a linearized model as its softmax base");
  listed(app.add_option("-t,--threads", benchmark.threads, "threads to use; several, by commas"))
      ->check(CLI::Range(1, 1024));
}

}  // namespace

void add_bench(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  options->type = "Q4_0";
  app.description(
      "Measures prefill and decoding, and in the same run, in turn, what the machine can do: read bandwidth, and the\n"
      "peak of products of bytes and of float32. The limit of decoding is bandwidth over the bytes of weights that a\n"
      "token reads, times the batch; that of prefill is the peak (int8 for quantized weights, else float32) over two\n"
      "operations for each parameter without embedding and head. Medians of the repeats. State is the memory of all\n"
      "sequences at the end; peak memory is VmHWM without what measuring the limits takes.");
  add_subject(app, *options);
  add_measures(app, options->benchmark);
  add_lora(app, options->loras);
  add_memory(app, options->map);
  add_json(app, options->json, "one JSON object a row on standard output");
  app.footer(
      "A KV cache and the tail of a depth grow by the decoded tokens: N of -n, for each repeat and once to warm up.\n\n"
      "Example:\n"
      "  margay bench model.gguf --prompt 512,4096 --depth 0,4096 -t 1,2\n"
      "  margay bench --synthetic llama-3.2-1b --type q4_0 --linear --depth 64,131072 --random-state\n"
      "  margay bench --synthetic llama-3-8b --type q8_0 --write random-8b.gguf --json\n");
  app.callback([options] { bench(*options); });
}

}  // namespace margay
