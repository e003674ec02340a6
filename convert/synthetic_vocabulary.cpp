#include "convert/synthetic_vocabulary.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/utf8.h"

namespace margay {
namespace {

constexpr int32_t kNormal = 1, kControl = 3;  // tokenizer.ggml.token_type
constexpr int64_t kLargeVocabulary = 100000;  // those have 256 control tokens, as Llama 3's

struct Words {
  std::vector<std::string> tokens, merges;
};

// Every word of letters, which "Ġ" may begin, by length: its beginning and its last letter make it; where its end is a
// word too, so do its first character and the rest.
Words make_words(size_t count) {
  Words words;
  std::string space;
  append_byte_character(space, ' ');
  std::vector<std::string> beginnings = {space};
  for (char letter = 'a'; letter <= 'z'; ++letter) beginnings.emplace_back(1, letter);
  const size_t single = beginnings.size();
  std::unordered_set<std::string> known;
  for (size_t i = 0; words.tokens.size() < count; ++i) {
    const std::string beginning = beginnings[i];
    const size_t first = beginning.starts_with(space) ? space.size() : 1;
    for (char letter = 'a'; letter <= 'z' && words.tokens.size() < count; ++letter) {
      const std::string word = beginning + letter;
      words.merges.push_back(beginning + " " + letter);
      const std::string rest = word.substr(first);
      if (i >= single && known.contains(rest)) words.merges.push_back(word.substr(0, first) + " " + rest);
      words.tokens.push_back(word);
      beginnings.push_back(word);
      known.insert(word);
    }
  }
  return words;
}

}  // namespace

void write_synthetic_vocabulary(GgufWriter& writer, int64_t size) {
  require(size >= 512, "a vocabulary of {} tokens: use 512 or more", size);
  const int64_t controls = size >= kLargeVocabulary ? 256 : 3;
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) append_byte_character(tokens.emplace_back(), static_cast<uint8_t>(byte));
  Words words = make_words(static_cast<size_t>(size - controls) - tokens.size());
  tokens.insert(tokens.end(), words.tokens.begin(), words.tokens.end());
  std::vector<int32_t> types(tokens.size(), kNormal);
  const auto bos = static_cast<uint32_t>(tokens.size());
  tokens.insert(tokens.end(), {"<|begin_of_text|>", "<|end_of_text|>"});
  for (int64_t i = 2; i < controls; ++i) tokens.push_back(fmt::format("<|reserved_special_token_{}|>", i - 2));
  types.resize(tokens.size(), kControl);

  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", "llama-bpe");
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", types);
  writer.set("tokenizer.ggml.merges", words.merges);
  writer.set("tokenizer.ggml.bos_token_id", bos);
  writer.set("tokenizer.ggml.eos_token_id", bos + 1);
}

}  // namespace margay
