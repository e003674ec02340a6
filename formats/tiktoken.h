// tiktoken's rank files: a token in base64 and its rank on each line. They are Llama 3's tokenizer.model.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace margay {

// A text that begins with a line of a rank file.
bool is_rank_file(std::string_view text);

// The vocabulary of a rank file in the words of byte-level BPE.
struct RankVocabulary {
  std::vector<std::string> tokens;  // by rank, spelled as characters
  std::vector<std::string> merges;  // "left right", by rank: the last merge that makes each token
};

// Ranks are 0 to n - 1, in any order. Throws Error naming `where` and the line.
RankVocabulary read_rank_file(std::string_view text, const std::string& where);

// The 256 special tokens that follow Llama 3's ranks.
std::vector<std::string> llama3_special_tokens();

}  // namespace margay
