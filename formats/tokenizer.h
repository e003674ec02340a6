// Tokenizers: BPE over bytes or characters and Unigram, executed as the model's own tokenizer.json says; SentencePiece's
// and tiktoken's tokenizer.model; the lists of GGUF files.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace margay {

class GgufFile;
class GgufWriter;

// Text to token ids and back, with the answers of Hugging Face's tokenizers. Immutable after loading, cheap to copy,
// safe to share among threads.
class Tokenizer {
 public:
  // From a folder with tokenizer.json or tokenizer.model (the first one where both are there); bos, eos and the chat
  // template come from tokenizer_config.json, generation_config.json, config.json and chat_template.jinja where present.
  // Throws Error naming the file and what is not supported (WordPiece...).
  static Tokenizer from_huggingface(const std::string& folder);
  // From a tokenizer.json, a SentencePiece model or Llama 3's file of tiktoken ranks, told apart by what is in them; and
  // from what lies beside it, as from_huggingface() does.
  static Tokenizer from_file(const std::string& path);
  // From tokenizer.huggingface.json where the file has it, else from tokenizer.ggml.* with the regular expressions that
  // tokenizer.ggml.pre names.
  static Tokenizer from_gguf(const GgufFile& file);
  // Writes tokenizer.huggingface.json (where there is one), tokenizer.ggml.* and tokenizer.chat_template. Models whose
  // vocabulary has more rows than there are tokens need a list that is as long: ids up to `rows` are filled up.
  void to_gguf(GgufWriter& writer, int64_t rows = 0) const;

  // Ids of a text. Invalid UTF-8 counts as U+FFFD. add_special adds what the post-processor adds (bos); parse_special
  // recognizes special tokens written in the text (false: they are plain text; for text that is not trusted).
  // Throws Error when a regular expression exceeds its match limit.
  std::vector<int32_t> encode(std::string_view text, bool add_special, bool parse_special = true) const;
  // Text of ids, as Hugging Face's decode without clean-up; bytes that are no UTF-8 become U+FFFD. Ids that are no
  // token are skipped.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  std::string token_bytes(int32_t id) const;      // the bytes a token stands for; empty when id is no token
  std::string_view token_text(int32_t id) const;  // as the vocabulary spells it ("Ġthe"); empty when id is no token
  std::optional<int32_t> find_token(std::string_view text) const;  // by that spelling
  int32_t vocab_size() const;                                      // largest id + 1
  std::optional<int32_t> bos() const;
  const std::vector<int32_t>& eos() const;   // every token that ends a text or a turn, the main one first
  bool adds_bos() const;                     // encode(..., add_special = true) begins with bos
  bool is_special(int32_t id) const;         // a control token: skip_special leaves it out
  const std::string& chat_template() const;  // Jinja; empty when the model has none

  struct Impl;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Turns a stream of tokens into printable text: push() returns complete UTF-8 only, never half a character. All pieces
// and finish() together are decode() of all the ids.
class StreamDecoder {
 public:
  // `before`: tokens whose text the stream goes on from. SentencePiece's texts lose the space they begin with; what goes
  // on from a text keeps it.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = false, std::span<const int32_t> before = {});
  std::string push(int32_t id);
  std::string finish();  // what is left: an incomplete character becomes U+FFFD

 private:
  std::string repair(std::string text) const;

  Tokenizer tokenizer_;
  bool skip_special_;
  size_t spaces_to_strip_;
  std::string pending_;  // at most 3 bytes: the beginning of a character
};

}  // namespace margay
