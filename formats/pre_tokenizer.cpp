#include "formats/pre_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/tokenizer_fields.h"
#include "formats/utf8.h"

namespace margay {

using Json = nlohmann::json;

namespace {

constexpr const char* kGpt2Pattern = R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kBehaviors[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
constexpr size_t kMaxStages = 64;

}  // namespace

// Turns the spans of a text, matched or not, into pieces as a behavior says. Spans come in order and without gaps.
class PreTokenizer::Merger {
 public:
  Merger(Behavior behavior, std::function<void(size_t, size_t)> emit) : behavior_(behavior), emit_(std::move(emit)) {}

  void add(size_t begin, size_t end, bool match) {
    if (behavior_ == Behavior::Removed && match) return;
    const bool joins = has_pending_ && (behavior_ == Behavior::Contiguous           ? match == pending_match_
                                        : behavior_ == Behavior::MergedWithPrevious ? match && !pending_match_
                                        : behavior_ == Behavior::MergedWithNext     ? !match && pending_match_
                                                                                    : false);
    if (joins) {
      end_ = end;
    } else {
      flush();
      begin_ = begin;
      end_ = end;
    }
    has_pending_ = true;
    pending_match_ = match;
  }

  void flush() {
    if (has_pending_ && begin_ < end_) emit_(begin_, end_);
    has_pending_ = false;
  }

 private:
  Behavior behavior_;
  std::function<void(size_t, size_t)> emit_;
  size_t begin_ = 0, end_ = 0;
  bool has_pending_ = false, pending_match_ = false;
};

PreTokenizer::PreTokenizer(const Json& json, const std::string& where) {
  add(json, where, 0);
  size_t bytes = 0;
  for (const Stage& stage : stages_) bytes += stage.kind == Stage::Bytes;
  require(bytes <= 1, "{}: the pre_tokenizer has {} ByteLevel steps, at most one is supported", where, bytes);
  bytes_ = bytes == 1;
  if (!bytes_) return;
  if (stages_.back().kind == Stage::Bytes) stages_.pop_back();
  else mapped_ = true;
}

PreTokenizer::Behavior PreTokenizer::behavior_of(const std::string& name, const std::string& where) {
  for (size_t i = 0; i < std::size(kBehaviors); ++i)
    if (name == kBehaviors[i]) return static_cast<Behavior>(i);
  fail("{}: Split has behavior \"{}\", which is unknown", where, name);
}

void PreTokenizer::add_split(Regex pattern, Behavior behavior, bool invert) {
  stages_.push_back({Stage::Split, std::move(pattern), behavior, invert});
}

void PreTokenizer::add_metaspace(const Json& json, const std::string& where) {
  Stage stage{Stage::Metaspace};
  stage.space = string_field(json, "replacement", where + ": pre_tokenizer Metaspace");
  require(!stage.space.empty() && utf8_step(stage.space).length == stage.space.size(),
          "{}: Metaspace has the replacement \"{}\", expected one character", where, stage.space);
  // Files of early versions have only a yes or no.
  const Json& scheme = optional_field(json, "prepend_scheme");
  const std::string name = scheme.is_string()                                  ? scheme.get<std::string>()
                           : bool_field(json, "add_prefix_space", true, where) ? "always"
                                                                               : "never";
  static constexpr std::pair<const char*, Prepend> kSchemes[] = {
      {"never", Prepend::Never}, {"first", Prepend::First}, {"always", Prepend::Always}};
  const auto* found =
      std::find_if(std::begin(kSchemes), std::end(kSchemes), [&](auto& row) { return name == row.first; });
  require(found != std::end(kSchemes), "{}: Metaspace has prepend_scheme \"{}\", which is unknown", where, name);
  stage.prepend = found->second;
  const std::string space = stage.space;
  stages_.push_back(std::move(stage));
  if (bool_field(json, "split", true, where)) add_split(Regex::literal(space, where), Behavior::MergedWithNext, false);
}

void PreTokenizer::add(const Json& json, const std::string& where, int depth) {
  if (json.is_null()) return;
  require(depth < 16 && stages_.size() < kMaxStages, "{}: the pre_tokenizer is nested or chained too deeply", where);
  const std::string type = string_field(json, "type", where + ": pre_tokenizer");
  if (type == "Sequence") {
    for (const Json& child : array_field(json, "pretokenizers", where)) add(child, where, depth + 1);
  } else if (type == "Split") {
    add_split(pattern_field(json, where + ": pre_tokenizer Split"),
              behavior_of(string_field(json, "behavior", where), where), bool_field(json, "invert", false, where));
  } else if (type == "ByteLevel") {
    if (bool_field(json, "add_prefix_space", true, where)) stages_.push_back({Stage::PrefixSpace});
    if (bool_field(json, "use_regex", true, where)) add_split(Regex(kGpt2Pattern, where), Behavior::Isolated, false);
    stages_.push_back({Stage::Bytes});
  } else if (type == "Digits") {
    const bool individual = bool_field(json, "individual_digits", false, where);
    add_split(Regex(R"(\p{N})", where), individual ? Behavior::Isolated : Behavior::Contiguous, false);
  } else if (type == "Punctuation") {
    const Json& behavior = optional_field(json, "behavior");
    add_split(Regex(R"([\p{P}$+<=>^`|~])", where),
              behavior.is_string() ? behavior_of(behavior.get<std::string>(), where) : Behavior::Isolated, false);
  } else if (type == "Whitespace") {
    add_split(Regex(R"(\w+|[^\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\s]+)", where), Behavior::Removed, true);
  } else if (type == "WhitespaceSplit") {
    add_split(Regex(R"(\s)", where), Behavior::Removed, false);
  } else if (type == "Metaspace") {
    add_metaspace(json, where);
  } else {
    fail(
        "{}: pre_tokenizer {} is not supported (ByteLevel, Metaspace, Split, Digits, Punctuation, Whitespace, "
        "WhitespaceSplit, Sequence are)",
        where, type);
  }
}

void PreTokenizer::run(std::string_view text, bool first, const Sink& sink) const {
  if (!text.empty()) run_stage(0, text, first, sink);
}

void PreTokenizer::run_stage(size_t stage, std::string_view text, bool first, const Sink& sink) const {
  if (stage == stages_.size()) {
    if (!mapped_) return sink(text);
    std::string bytes;
    require(characters_to_bytes(text, bytes), "the pre-tokenizer made a piece that is not of bytes");
    return sink(bytes);
  }
  const Stage& rule = stages_[stage];
  switch (rule.kind) {
    case Stage::Split:
      return split(stage, text, first, sink);
    case Stage::PrefixSpace:
      if (text.starts_with(' ')) return run_stage(stage + 1, text, first, sink);
      return run_stage(stage + 1, ' ' + std::string(text), first, sink);
    case Stage::Metaspace: {
      std::string spaced;
      const bool prepends = rule.prepend == Prepend::Always || (rule.prepend == Prepend::First && first);
      if (prepends && !text.starts_with(' ') && !text.starts_with(rule.space)) spaced = rule.space;
      for (const char c : text) {
        if (c == ' ') spaced += rule.space;
        else spaced += c;
      }
      return run_stage(stage + 1, spaced, first, sink);
    }
    case Stage::Bytes:
      return run_stage(stage + 1, bytes_to_characters(text), first, sink);
  }
}

void PreTokenizer::split(size_t stage, std::string_view text, bool first, const Sink& sink) const {
  const Stage& rule = stages_[stage];
  Merger merger(rule.behavior, [&](size_t begin, size_t end) {
    run_stage(stage + 1, text.substr(begin, end - begin), first && begin == 0, sink);
  });
  size_t done = 0, start = 0;
  while (start < text.size()) {
    const auto match = rule.pattern->find(text, start);
    if (!match) break;
    if (match->begin == match->end && match->end == text.size()) break;
    if (done < match->begin) merger.add(done, match->begin, rule.invert);
    merger.add(match->begin, match->end, !rule.invert);
    done = match->end;
    // After an empty match the search goes on one character further.
    start = match->end > match->begin ? done : done + utf8_step(text.substr(done)).length;
  }
  if (done < text.size()) merger.add(done, text.size(), rule.invert);
  merger.flush();
}

std::string PreTokenizer::description() const {
  std::string result;
  for (const Stage& stage : stages_) {
    if (stage.kind == Stage::Split)
      result += fmt::format("split {}{} {}; ", stage.invert ? "not " : "",
                            kBehaviors[static_cast<size_t>(stage.behavior)], stage.pattern->pattern());
    else
      result += stage.kind == Stage::Bytes         ? "bytes; "
                : stage.kind == Stage::PrefixSpace ? "prefix space; "
                                                   : "spaces; ";
  }
  return result;
}

}  // namespace margay
