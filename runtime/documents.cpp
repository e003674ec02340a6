#include "runtime/documents.h"

#include <algorithm>
#include <exception>

namespace margay {
namespace {

// Quantized products of few rows take another kernel, whose rounding differs. Batches are never narrower than this, so
// that the documents do not depend on their width.
constexpr int64_t kNarrowestBatch = 8;

int32_t first_token(const Tokenizer& tokenizer) {
  if (tokenizer.bos()) return *tokenizer.bos();
  require(!tokenizer.eos().empty(),
          "the model's tokenizer has neither a token that begins a text nor one that ends it");
  return tokenizer.eos().front();  // as GPT-2 does
}

// One batch of documents on its way.
class Batch {
 public:
  Batch(const Model& model, Team& team, Session& session, const DocumentOptions& options, int64_t first)
      : tokenizer_(model.tokenizer), team_(team), session_(session), bos_(first_token(model.tokenizer)) {
    SamplerOptions sampler = options.sampler;
    for (int64_t b = 0; b < session.sequences(); ++b) {
      sampler.stream = static_cast<uint64_t>(first + b);
      documents_.push_back({Sampler(sampler), {}, {}, nullptr});
    }
    next_.assign(documents_.size(), bos_);
    session.reset();
  }

  // Feeds each sequence its next token and samples the one after it.
  void step() {
    session_.feed(next_);
    team_.run([this](int thread) {  // nothing may be thrown out of here
      for (size_t b = static_cast<size_t>(thread); b < documents_.size(); b += static_cast<size_t>(team_.size())) try {
          sample(b);
        } catch (...) {
          documents_[b].error = std::current_exception();
        }
    });
    for (const Document& document : documents_)
      if (document.error) std::rethrow_exception(document.error);
  }

  std::string text(size_t b) {
    end_text(documents_[b]);
    return documents_[b].text;
  }

 private:
  struct Document {
    Sampler sampler;
    std::vector<int32_t> ids;  // of its last text
    std::string text;          // the ones before
    std::exception_ptr error;
  };

  void sample(size_t b) {
    Document& document = documents_[b];
    const size_t known = static_cast<size_t>(std::min<int64_t>(tokenizer_.vocab_size(), session_.vocabulary()));
    const int32_t id = document.sampler.sample(session_.logits(static_cast<int64_t>(b)).first(known));
    document.sampler.accept(id);
    const std::vector<int32_t>& eos = tokenizer_.eos();
    const bool ends = std::find(eos.begin(), eos.end(), id) != eos.end();
    next_[b] = ends ? bos_ : id;
    if (ends) end_text(document);
    else document.ids.push_back(id);
  }

  void end_text(Document& document) const {
    const std::string text = tokenizer_.decode(document.ids, true);
    document.ids.clear();
    if (text.empty()) return;
    if (!document.text.empty()) document.text += "\n\n";
    document.text += text;
  }

  const Tokenizer& tokenizer_;
  Team& team_;
  Session& session_;
  const int32_t bos_;
  std::vector<Document> documents_;  // [B]
  std::vector<int32_t> next_;        // [B]: tokens to feed
};

}  // namespace

void sample_documents(const Model& model, Team& team, const DocumentOptions& options,
                      const std::function<void(const std::string& text)>& emit,
                      const std::function<void(int64_t tokens)>& progress) {
  require(options.documents >= 1 && options.tokens >= 1 && options.batch >= 1,
          "{} documents of {} tokens, {} at once: use 1 or more of each", options.documents, options.tokens,
          options.batch);
  SessionOptions settings;
  settings.sequences = std::max(std::min(options.batch, options.documents), kNarrowestBatch);
  settings.capacity = options.tokens;
  Session session(model, team, settings);
  for (int64_t first = 0; first < options.documents; first += settings.sequences) {
    // All batches have the same width; documents too many are dropped.
    const int64_t wanted = std::min(settings.sequences, options.documents - first);
    Batch batch(model, team, session, options, first);
    for (int64_t t = 0; t < options.tokens; ++t) {
      batch.step();
      progress(wanted);
    }
    for (int64_t b = 0; b < wanted; ++b) emit(batch.text(static_cast<size_t>(b)));
  }
}

}  // namespace margay
