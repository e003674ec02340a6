// margay tokenize: text to token ids and back, and the comparison with another tokenizer's answers.
#include <fmt/ranges.h>

#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/options.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "formats/tokenizer.h"

namespace margay {
namespace {

struct Options {
  std::string model, verify;
  TextSource text;
  int threads = 1;  // accepted as everywhere; the work is one thread's
  bool ids = false, no_special = false, decode = false, json = false;
};

Tokenizer open_tokenizer(const std::string& path) {
  if (is_directory(path)) return Tokenizer::from_huggingface(path);
  const bool gguf = path.ends_with(".gguf") || MappedFile(path).text().starts_with("GGUF");
  return gguf ? Tokenizer::from_gguf(GgufFile(path)) : Tokenizer::from_file(path);
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// "1 2, 3" and "[1, 2, 3]" alike.
std::vector<int32_t> parse_ids(const std::string& text) {
  constexpr const char* kBetween = " \t\r\n,[]";
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(kBetween); at != std::string::npos;
       at = text.find_first_not_of(kBetween, at)) {
    const size_t end = std::min(text.find_first_of(kBetween, at), text.size());
    int32_t id = 0;
    const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, id);
    require(error == std::errc() && rest == text.data() + end, "'{}' is no token id",
            text.substr(at, std::min<size_t>(end - at, 40)));
    ids.push_back(id);
    at = end;
  }
  return ids;
}

void decode(const Options& options, const Tokenizer& tokenizer) {
  const std::vector<int32_t> ids = parse_ids(read_text(options.text));
  const std::string text = tokenizer.decode(ids, options.no_special);
  print_out(options.json ? dump({{"text", text}, {"ids", ids}}) : text);
}

void encode(const Options& options, const Tokenizer& tokenizer) {
  const std::string text = read_text(options.text);
  const std::vector<int32_t> ids = tokenizer.encode(text, !options.no_special);
  if (options.json) {
    std::vector<std::string> tokens;
    for (const int32_t id : ids) tokens.emplace_back(tokenizer.token_text(id));
    print_out(dump({{"ids", ids}, {"tokens", tokens}}));
  } else if (options.ids) {
    print_out(fmt::format("{}\n", fmt::join(ids, " ")));
  } else {
    std::string table;
    for (const int32_t id : ids) table += fmt::format("{:>7}  {}\n", id, tokenizer.token_text(id));
    print_out(table);
  }
}

// Empty when a line's answers are the tokenizer's, else what differs.
std::string difference(const Tokenizer& tokenizer, const nlohmann::json& line) {
  const std::string text = line.at("text");
  const std::vector<int32_t> expected = line.at("ids"), ids = tokenizer.encode(text, false);
  if (ids != expected) return fmt::format("ids {} expected {}", fmt::join(ids, " "), fmt::join(expected, " "));
  const std::string decoded = tokenizer.decode(ids);
  if (line.contains("decoded") && decoded != line.at("decoded").get<std::string>())
    return "decodes to " + nlohmann::json(decoded).dump();
  return {};
}

void verify(const Options& options, const Tokenizer& tokenizer) {
  const MappedFile file(options.verify);
  constexpr int64_t kShown = 10;  // differences
  int64_t lines = 0, equal = 0, number = 0;
  for (size_t at = 0; at < file.size();) {
    const size_t end = std::min(file.text().find('\n', at), file.size());
    const std::string_view text = file.text().substr(at, end - at);
    at = end + 1;
    ++number;
    if (text.empty()) continue;
    const std::string where = fmt::format("{} line {}", options.verify, number);
    std::string what;
    try {
      what = difference(tokenizer, parse_json(text, where));
    } catch (const nlohmann::json::exception&) {
      fail("{}: expected an object with text (string), ids (list of integers) and decoded (string)", where);
    }
    ++lines;
    if (what.empty()) ++equal;
    else if (lines - equal <= kShown) fmt::print(stderr, "{}: {}\n", where, what);
  }
  if (lines - equal > kShown) fmt::print(stderr, "and {} more\n", lines - equal - kShown);
  print_out(options.json ? dump({{"equal", equal}, {"lines", lines}}) : fmt::format("{} of {} equal\n", equal, lines));
  if (equal != lines) throw CLI::RuntimeError(1);
}

void tokenize(const Options& options) {
  const Tokenizer tokenizer = open_tokenizer(options.model);
  if (!options.verify.empty()) verify(options, tokenizer);
  else if (options.decode) decode(options, tokenizer);
  else encode(options, tokenizer);
}

}  // namespace

void add_tokenize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.description(
      "Turns text into a model's tokens: a line for each with its id and its spelling. Text comes from -p, from -f, "
      "or\n"
      "from standard input. Special tokens written in the text count as such.");
  app.add_option("MODEL", options->model,
                 "GGUF model, Hugging Face folder, tokenizer.json, or tokenizer.model (SentencePiece, tiktoken)")
      ->required();
  add_text(app, options->text, "the text (with --decode: ids)");
  app.add_flag("--ids", options->ids, "only the ids, on one line");
  app.add_flag("--no-special", options->no_special,
               "add no token that begins or ends a text; with --decode: leave special tokens out");
  CLI::Option* decoding = app.add_flag("--decode", options->decode, "ids to text");
  app.add_option("--verify", options->verify,
                 "compare with another tokenizer's answers: lines of {\"text\": ..., \"ids\": [...], \"decoded\": ...} "
                 "without added special tokens; exit code 1 when one differs")
      ->type_name("FILE.jsonl")
      ->excludes(decoding);
  add_json(app, options->json, "one JSON object: ids and tokens, or text and ids, or equal and lines");
  add_threads(app, options->threads);
  app.footer(
      "Example:\n"
      "  margay tokenize model.gguf -p 'Hello world' --ids\n"
      "  margay tokenize Llama-2-7b/tokenizer.model -f book.txt --json\n"
      "  margay tokenize model.gguf --verify golden.jsonl\n"
      "  echo '9906 1917' | margay tokenize model.gguf --decode\n");
  app.callback([options] { tokenize(*options); });
}

}  // namespace margay
