#include "formats/yaml.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"

namespace margay {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

struct Line {
  size_t number, indent;
  std::string_view text;  // without indentation, comment and spaces at the end
};

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \r") + 1 - begin);
}

// A comment begins with # after a space, outside quotes.
std::string_view without_comment(std::string_view text) {
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#' && (i == 0 || text[i - 1] == ' ')) {
      return text.substr(0, i);
    }
  }
  return text;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : where_(where) {
    for (size_t number = 1; !text.empty(); ++number) {
      const size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = without_comment(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      const std::string_view body = trimmed(line);
      if (body.empty() || body == "---") continue;
      require(line.find('\t') == std::string_view::npos, "{}: line {} holds a tab", where_, number);
      lines_.push_back({number, line.find_first_not_of(' '), body});
    }
  }

  Json document() {
    if (lines_.empty()) return nullptr;
    Json result = block(lines_[0].indent, 0);
    require(at_ == lines_.size(), "{}: line {} is not indented as the lines before it", where_, lines_[at_].number);
    return result;
  }

 private:
  bool more(size_t indent) const { return at_ < lines_.size() && lines_[at_].indent == indent; }
  static bool is_item(std::string_view text) { return text == "-" || text.starts_with("- "); }

  // Where the key of "key: value" ends; npos where a line is none.
  static size_t key_end(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i)
      if (text[i] == ':' && (i + 1 == text.size() || text[i + 1] == ' ')) return i;
    return std::string_view::npos;
  }

  Json block(size_t indent, int depth) {
    require(depth < kMaxDepth, "{}: line {} nests deeper than {}", where_, lines_[at_].number, kMaxDepth);
    return is_item(lines_[at_].text) ? sequence(indent, depth) : mapping(indent, depth);
  }

  Json sequence(size_t indent, int depth) {
    Json result = Json::array();
    while (more(indent) && is_item(lines_[at_].text)) {
      Line& line = lines_[at_];
      const std::string_view rest = trimmed(line.text.substr(1));
      if (rest.empty() || key_end(rest) != std::string_view::npos || is_item(rest)) {
        // The item's own block begins where its text does, on this line or the next.
        if (rest.empty()) ++at_;
        else line.indent += static_cast<size_t>(rest.data() - line.text.data()), line.text = rest;
        const bool nested = at_ < lines_.size() && lines_[at_].indent > indent;
        result.push_back(nested ? block(lines_[at_].indent, depth + 1) : Json());
      } else {
        result.push_back(scalar(rest, line.number));
        ++at_;
      }
    }
    return result;
  }

  Json mapping(size_t indent, int depth) {
    Json result = Json::object();
    while (more(indent)) {
      const Line line = lines_[at_];
      const size_t colon = key_end(line.text);
      require(colon != std::string_view::npos, "{}: line {} is no \"key: value\"", where_, line.number);
      const Json key = scalar(trimmed(line.text.substr(0, colon)), line.number);
      const std::string name = key.is_string() ? key.get<std::string>() : key.dump();
      require(!result.contains(name), "{}: line {} gives {} a second time", where_, line.number, name);
      const std::string_view rest = trimmed(line.text.substr(colon + 1));
      ++at_;
      if (!rest.empty()) {
        result[name] = scalar(rest, line.number);
        continue;
      }
      // The items of a list may stand as far left as its key.
      const bool list = more(indent) && is_item(lines_[at_].text);
      const bool nested = list || (at_ < lines_.size() && lines_[at_].indent > indent);
      result[name] = nested ? block(lines_[at_].indent, depth + 1) : Json();
    }
    return result;
  }

  Json scalar(std::string_view text, size_t line) const {
    if (text == "{}") return Json::object();
    if (text.starts_with('[')) return flow_list(text, line);
    if (text.starts_with('"') || text.starts_with('\'')) {
      const char quote = text[0];
      require(text.size() >= 2 && text.back() == quote && text.find('\\') == std::string_view::npos &&
                  text.substr(1, text.size() - 2).find(quote) == std::string_view::npos,
              "{}: line {} holds a quoted text that is not supported", where_, line);
      return std::string(text.substr(1, text.size() - 2));
    }
    require(text.find_first_of("{}|>&*!%@`") != 0, "{}: line {} holds what is not supported: {}", where_, line,
            text.substr(0, 100));
    if (text == "null" || text == "~" || text == "Null" || text == "NULL") return nullptr;
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text == "false" || text == "False" || text == "FALSE") return false;
    const char *begin = text.data(), *end = begin + text.size();
    int64_t integer = 0;
    if (const auto [stop, error] = std::from_chars(begin, end, integer); error == std::errc() && stop == end)
      return integer;
    double number = 0;
    if (const auto [stop, error] = std::from_chars(begin, end, number);
        error == std::errc() && stop == end && text.find_first_of("0123456789") != std::string_view::npos)
      return number;
    return std::string(text);
  }

  Json flow_list(std::string_view text, size_t line) const {
    require(text.ends_with(']'), "{}: line {} holds a list that does not end in it", where_, line);
    Json result = Json::array();
    std::string_view rest = trimmed(text.substr(1, text.size() - 2));
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view item = trimmed(rest.substr(0, comma));
      require(!item.starts_with('['), "{}: line {} holds a list in a list", where_, line);
      result.push_back(scalar(item, line));
      rest = trimmed(rest.substr(std::min(comma + 1, rest.size())));
    }
    return result;
  }

  const std::string& where_;
  std::vector<Line> lines_;
  size_t at_ = 0;
};

}  // namespace

Json parse_yaml(std::string_view text, const std::string& where) { return Parser(text, where).document(); }

}  // namespace margay
