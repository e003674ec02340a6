#include "formats/tokenizer.h"

#include "base/error.h"
#include "formats/tokenizer_impl.h"
#include "formats/utf8.h"

namespace margay {

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special, bool parse_special) const {
  const Impl& t = *impl_;
  std::unique_lock lock(t.cache_mutex, std::try_to_lock);
  WordCache own;
  WordCache& cache = lock.owns_lock() ? t.cache : own;
  std::string repaired;
  if (!is_utf8(text)) text = repaired = repair_utf8(text);

  std::vector<int32_t> ids;
  if (add_special) ids = t.prefix;
  const auto on_token = [&](int32_t id) { ids.push_back(id); };
  const PreTokenizer::Sink on_word = [&](std::string_view word) { t.bpe.encode(word, ids, cache); };
  const auto on_normalized = [&](std::string_view part) { t.pre_tokenizer.run(part, on_word); };
  const auto on_raw = [&](std::string_view part) {
    if (t.normalizer.empty()) return t.normalized_finder.split(part, t.added, parse_special, on_normalized, on_token);
    t.normalized_finder.split(t.normalizer.apply(part), t.added, parse_special, on_normalized, on_token);
  };
  t.raw_finder.split(text, t.added, parse_special, on_raw, on_token);
  if (add_special) ids.insert(ids.end(), t.suffix.begin(), t.suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids)
    if (!(skip_special && is_special(id))) bytes += token_bytes(id);
  return is_utf8(bytes) ? bytes : repair_utf8(bytes);
}

std::string Tokenizer::token_bytes(int32_t id) const {
  const std::string_view text = token_text(id);
  std::string bytes;
  if (!characters_to_bytes(text, bytes)) bytes = text;  // an added token with a space, say, stands for itself
  return bytes;
}

std::string_view Tokenizer::token_text(int32_t id) const {
  return impl_->is_token(id) ? std::string_view(impl_->texts[id]) : std::string_view();
}

std::optional<int32_t> Tokenizer::find_token(std::string_view text) const { return impl_->find(text); }
int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->texts.size()); }
std::optional<int32_t> Tokenizer::bos() const { return impl_->bos; }
const std::vector<int32_t>& Tokenizer::eos() const { return impl_->eos; }
bool Tokenizer::is_special(int32_t id) const { return impl_->is_token(id) && impl_->special[id]; }
const std::string& Tokenizer::chat_template() const { return impl_->chat_template; }

bool Tokenizer::adds_bos() const { return impl_->bos && !impl_->prefix.empty() && impl_->prefix[0] == *impl_->bos; }

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  pending_ += tokenizer_.token_bytes(id);
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Step step = utf8_step(rest);
    if (step.incomplete) break;
    rest.remove_prefix(step.length);
  }
  std::string ready = repair_utf8(std::string_view(pending_).substr(0, pending_.size() - rest.size()));
  pending_ = std::string(rest);
  return ready;
}

std::string StreamDecoder::finish() { return repair_utf8(std::exchange(pending_, {})); }

}  // namespace margay
