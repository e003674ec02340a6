#include "formats/tokenizer.h"

#include <algorithm>

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
  const PreTokenizer::Sink on_word = [&](std::string_view word) { t.encode_word(word, ids, cache); };
  const auto on_raw = [&](std::string_view part) {
    const std::string changed = t.normalizer.empty() ? std::string() : t.normalizer.apply(part);
    const std::string_view normalized = t.normalizer.empty() ? part : changed;
    const bool first = part.data() == text.data();
    const auto on_normalized = [&](std::string_view piece) {
      t.pre_tokenizer.run(piece, first && piece.data() == normalized.data(), on_word);
    };
    t.normalized_finder.split(normalized, t.added, parse_special, on_normalized, on_token);
  };
  t.raw_finder.split(text, t.added, parse_special, on_raw, on_token);
  if (add_special) ids.insert(ids.end(), t.suffix.begin(), t.suffix.end());
  return ids;
}

void Tokenizer::Impl::encode_word(std::string_view word, std::vector<int32_t>& ids, WordCache& words) const {
  const auto encode = [&](std::string_view part) {
    if (const auto* cached = words.find(part)) {
      ids.insert(ids.end(), cached->begin(), cached->end());
      return;
    }
    std::vector<int32_t> tokens = model->encode(part);
    ids.insert(ids.end(), tokens.begin(), tokens.end());
    words.add(part, std::move(tokens));
  };
  size_t begin = 0;
  if (cuts_at_spaces) {
    bool after_space = true;
    for (size_t at = 0; at < word.size(); at += utf8_step(word.substr(at)).length) {
      const bool space = word.substr(at).starts_with(kSpaceMark);
      if (space && !after_space) {
        encode(word.substr(begin, at - begin));
        begin = at;
      }
      after_space = space;
    }
  }
  encode(word.substr(begin));
}

std::string Tokenizer::Impl::words(std::string_view text) const {
  std::string result;
  pre_tokenizer.run(normalizer.apply(text), true, [&](std::string_view word) { result += word; });
  return result;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  StreamDecoder stream(*this, skip_special);
  std::string text;
  for (const int32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

std::string Tokenizer::token_bytes(int32_t id) const {
  std::string bytes;
  impl_->decoder.append(bytes, token_text(id));
  return bytes;
}

std::string_view Tokenizer::token_text(int32_t id) const {
  return impl_->is_token(id) ? std::string_view(impl_->texts[id]) : std::string_view();
}

std::optional<int32_t> Tokenizer::find_token(std::string_view text) const { return impl_->find(text); }
int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->texts.size()); }
std::optional<int32_t> Tokenizer::bos() const { return impl_->bos; }
const std::vector<int32_t>& Tokenizer::eos() const { return impl_->eos; }
bool Tokenizer::is_special(int32_t id) const {
  return impl_->is_token(id) && (impl_->types[id] == TokenType::kControl || impl_->types[id] == TokenType::kUnknown);
}
const std::string& Tokenizer::chat_template() const { return impl_->chat_template; }

bool Tokenizer::adds_bos() const { return impl_->bos && !impl_->prefix.empty() && impl_->prefix[0] == *impl_->bos; }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special, std::span<const int32_t> before)
    : tokenizer_(tokenizer), skip_special_(skip_special), spaces_to_strip_(tokenizer.impl_->decoder.stripped_spaces()) {
  for (const int32_t id : before)
    if (!tokenizer.is_special(id)) spaces_to_strip_ = 0;
}

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  std::string bytes = tokenizer_.token_bytes(id);
  if (spaces_to_strip_ > 0 && !bytes.empty()) {
    const size_t spaces = std::min({bytes.find_first_not_of(' '), bytes.size(), spaces_to_strip_});
    spaces_to_strip_ = spaces < bytes.size() ? 0 : spaces_to_strip_ - spaces;
    bytes.erase(0, spaces);
  }
  pending_ += bytes;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Step step = utf8_step(rest);
    if (step.incomplete) break;
    rest.remove_prefix(step.length);
  }
  std::string ready = pending_.substr(0, pending_.size() - rest.size());
  pending_ = std::string(rest);
  return repair(std::move(ready));
}

std::string StreamDecoder::finish() { return repair(std::exchange(pending_, {})); }

std::string StreamDecoder::repair(std::string text) const {
  return is_utf8(text) ? text : repair_utf8(text, tokenizer_.impl_->decoder.replaces_each_byte());
}

}  // namespace margay
