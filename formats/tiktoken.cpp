#include "formats/tiktoken.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "formats/base64.h"
#include "formats/merge_symbols.h"
#include "formats/token_table.h"
#include "formats/utf8.h"

namespace margay {
namespace {

constexpr size_t kMaxToken = 512;  // bytes

struct Line {
  std::string token;
  size_t rank;
};

std::optional<Line> parse_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  auto token = base64_decode(line.substr(0, space));
  size_t rank = 0;
  const char *begin = line.data() + space + 1, *end = line.data() + line.size();
  const auto [rest, error] = std::from_chars(begin, end, rank);
  if (!token || token->empty() || error != std::errc() || rest != end) return std::nullopt;
  return Line{std::move(*token), rank};
}

// Takes a line off the text.
std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// Where the token's last merge joins its parts, when only tokens of lower rank exist: 0 when none makes it.
size_t last_merge(const TokenTable& ranks, std::string_view token, int32_t rank) {
  std::vector<MergeSymbol> symbols;
  for (size_t i = 0; i < token.size(); ++i) append_symbol(symbols, 0, i, 1);
  merge_symbols(symbols, [&](const MergeSymbol& left, const MergeSymbol& right) {
    const int64_t entry = ranks.find(token.substr(left.begin, size_t{left.length} + right.length));
    const int32_t found = entry < 0 ? rank : ranks.id(entry);
    return found < rank ? Merge{found, found} : Merge{};
  });
  const int32_t second = symbols.front().after;
  return second > 0 && symbols[second].after < 0 ? symbols[second].begin : 0;
}

}  // namespace

bool is_rank_file(std::string_view text) { return parse_line(next_line(text)).has_value(); }

RankVocabulary read_rank_file(std::string_view text, const std::string& where) {
  std::vector<Line> lines;
  size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    ++number;
    if (line.empty()) continue;
    auto parsed = parse_line(line);
    require(parsed.has_value(), "{}: line {} is no token in base64 and its rank", where, number);
    require(parsed->token.size() <= kMaxToken, "{}: line {}: a token of {} bytes, at most {} are supported", where,
            number, parsed->token.size(), kMaxToken);
    lines.push_back(std::move(*parsed));
  }
  require(!lines.empty(), "{}: has no tokens", where);
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.rank < b.rank; });
  TokenTable ranks;
  ranks.reserve(lines.size());
  for (size_t rank = 0; rank < lines.size(); ++rank) {
    require(lines[rank].rank == rank, "{}: {} tokens, but no rank {}", where, lines.size(), rank);
    require(ranks.add(lines[rank].token, static_cast<int32_t>(rank)), "{}: rank {} has a token that came before", where,
            rank);
  }

  RankVocabulary vocabulary;
  vocabulary.tokens.reserve(lines.size());
  for (size_t rank = 0; rank < lines.size(); ++rank) {
    const std::string_view token = lines[rank].token;
    vocabulary.tokens.push_back(bytes_to_characters(token));
    const size_t cut = token.size() > 1 ? last_merge(ranks, token, static_cast<int32_t>(rank)) : 0;
    if (cut > 0)
      vocabulary.merges.push_back(bytes_to_characters(token.substr(0, cut)) + " " +
                                  bytes_to_characters(token.substr(cut)));
  }
  return vocabulary;
}

std::vector<std::string> llama3_special_tokens() {
  std::vector<std::string> tokens;
  int reserved = 0;
  const auto reserve = [&](size_t until) {
    while (tokens.size() < until) tokens.push_back(fmt::format("<|reserved_special_token_{}|>", reserved++));
  };
  tokens = {"<|begin_of_text|>", "<|end_of_text|>"};
  reserve(6);
  tokens.insert(tokens.end(), {"<|start_header_id|>", "<|end_header_id|>"});
  reserve(9);
  tokens.emplace_back("<|eot_id|>");
  reserve(256);
  return tokens;
}

}  // namespace margay
