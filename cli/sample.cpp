// margay sample: documents that a model writes by itself.
#include <memory>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/options.h"
#include "runtime/documents.h"

namespace margay {
namespace {

struct Options {
  std::string model, output;
  DocumentOptions documents;
  int threads = 1;
};

void sample(const Options& options) {
  const Model model(options.model);
  Team team(options.threads);
  AtomicFile file(options.output);
  Progress progress("sampling", options.documents.documents * options.documents.tokens, "tokens");
  bool first = true;
  sample_documents(
      model, team, options.documents,
      [&](const std::string& text) {
        if (!std::exchange(first, false)) file.write("\n\n");
        file.write(text);
      },
      [&](int64_t tokens) {
        throw_if_interrupted();
        progress.advance(tokens);
      });
  file.write("\n");
  file.commit();
  progress.finish();
}

}  // namespace

void add_sample(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  options->documents.sampler.temperature = 0.9f;
  options->documents.sampler.top_p = 0.98f;
  app.description(
      "Lets a model write documents by itself, from the token that begins a text on: training text for linearizing it\n"
      "where there is no other. After the end of a text another one begins until the document has its tokens. "
      "Documents\n"
      "and texts are separated by a blank line.");
  add_model(app, options->model);
  app.add_option("-o,--output", options->output, "text file to write")->required()->type_name("FILE");
  app.add_option("--documents", options->documents.documents, "documents to write")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--tokens", options->documents.tokens, "tokens of each document")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->capture_default_str();
  add_sampling(app, options->documents.sampler);
  app.add_option("--seed", options->documents.sampler.seed,
                 "the same seed gives the same documents, however many at once")
      ->capture_default_str();
  app.add_option("--batch", options->documents.batch, "documents to write at once: faster, and a state for each")
      ->check(CLI::Range(int64_t{1}, kMaxSequences))
      ->capture_default_str();
  add_threads(app, options->threads);
  app.footer(
      "Example:\n"
      "  margay sample base.gguf -o own-text.txt --documents 350 --tokens 1023\n");
  app.callback([options] { sample(*options); });
}

}  // namespace margay
