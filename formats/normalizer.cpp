#include "formats/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/base64.h"
#include "formats/json.h"
#include "formats/tokenizer_fields.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

void append_form(std::string& out, std::string_view run, utf8proc_option_t form) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(run.data()), static_cast<utf8proc_ssize_t>(run.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form));
  require(length >= 0, "cannot normalize text: {}", utf8proc_errmsg(length));
  out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
  std::free(mapped);
}

// ASCII is its own form, and only a run's last ASCII character can combine with what follows it: so only that
// character and the run of other characters behind it need work.
std::string unicode_form(std::string_view text, utf8proc_option_t form) {
  const auto ascii = [&](size_t i) { return static_cast<uint8_t>(text[i]) < 0x80; };
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && ascii(end)) ++end;
    if (end == text.size()) {
      out += text.substr(i);
      break;
    }
    const size_t run = end > i ? end - 1 : end;
    out += text.substr(i, run - i);
    while (end < text.size() && !ascii(end)) ++end;
    append_form(out, text.substr(run, end - run), form);
    i = end;
  }
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.character == 0x130) out += "i\xCC\x87";  // the one lower case of two characters
    else append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(step.character))));
    text.remove_prefix(step.length);
  }
  return out;
}

std::string strip_accents(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (utf8proc_category(static_cast<utf8proc_int32_t>(step.character)) != UTF8PROC_CATEGORY_MN)
      out += text.substr(0, step.length);
    text.remove_prefix(step.length);
  }
  return out;
}

std::string_view strip(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (!is_space(step.character)) break;
    text.remove_prefix(step.length);
  }
  while (right && !text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (text[start] & 0xc0) == 0x80) --start;
    if (!is_space(utf8_step(text.substr(start)).character)) break;
    text = text.substr(0, start);
  }
  return text;
}

std::string replace(std::string_view text, const Regex& pattern, std::string_view content, size_t limit) {
  std::string out;
  size_t copied = 0, start = 0;
  while (start <= text.size() && !text.empty()) {
    const auto match = pattern.find(text, start);
    if (!match) break;
    out += text.substr(copied, match->begin - copied);
    out += content;
    require(out.size() <= limit, "the tokenizer's normalizer makes more than {} bytes of a text", limit);
    copied = match->end;
    start = match->end > match->begin  ? match->end
            : match->end < text.size() ? match->end + utf8_step(text.substr(match->end)).length
                                       : text.size() + 1;
  }
  if (copied < text.size()) out += text.substr(copied);
  return out;
}

}  // namespace

Normalizer::Normalizer(const Json& json, const std::string& where) { add(json, where, 0); }

void Normalizer::add(const Json& json, const std::string& where, int depth) {
  if (json.is_null()) return;
  require(depth < 16 && steps_.size() < 64, "{}: the normalizer is nested or chained too deeply", where);
  const std::string type = string_field(json, "type", where + ": normalizer");
  static constexpr std::pair<const char*, Step::Kind> kForms[] = {{"NFC", Step::NFC},
                                                                  {"NFD", Step::NFD},
                                                                  {"NFKC", Step::NFKC},
                                                                  {"NFKD", Step::NFKD},
                                                                  {"Lowercase", Step::Lowercase},
                                                                  {"StripAccents", Step::StripAccents}};
  for (const auto& [name, kind] : kForms)
    if (type == name) return steps_.push_back({kind}), void();
  if (type == "Sequence") {
    for (const Json& child : array_field(json, "normalizers", where)) add(child, where, depth + 1);
  } else if (type == "Strip") {
    const bool left = bool_field(json, "strip_left", true, where), right = bool_field(json, "strip_right", true, where);
    steps_.push_back({.kind = Step::Strip, .left = left, .right = right});
  } else if (type == "Prepend") {
    steps_.push_back({.kind = Step::Prepend, .text = string_field(json, "prepend", where)});
  } else if (type == "Replace") {
    steps_.push_back({.kind = Step::Replace,
                      .text = string_field(json, "content", where),
                      .pattern = pattern_field(json, where + ": normalizer Replace")});
  } else if (type == "Precompiled") {
    // Fast tokenizers of models without a table have one of no bytes.
    const Json& map = optional_field(json, "precompiled_charsmap");
    if (map.is_null() || map == "") return;
    const auto blob = base64_decode(string_field(json, "precompiled_charsmap", where));
    require(blob.has_value(), "{}: the normalizer's precompiled_charsmap is not base64", where);
    steps_.push_back({.kind = Step::Precompiled, .charsmap = std::make_shared<const Charsmap>(*blob, where)});
  } else {
    fail(
        "{}: normalizer {} is not supported (NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, "
        "Precompiled are)",
        where, type);
  }
}

std::string Normalizer::apply_step(const Step& step, std::string_view text, size_t limit) {
  switch (step.kind) {
    case Step::NFC:
      return unicode_form(text, UTF8PROC_COMPOSE);
    case Step::NFD:
      return unicode_form(text, UTF8PROC_DECOMPOSE);
    case Step::NFKC:
      return unicode_form(text, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_COMPAT));
    case Step::NFKD:
      return unicode_form(text, static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT));
    case Step::Lowercase:
      return lowercase(text);
    case Step::StripAccents:
      return strip_accents(text);
    case Step::Strip:
      return std::string(strip(text, step.left, step.right));
    case Step::Prepend:
      return text.empty() ? std::string() : step.text + std::string(text);
    case Step::Replace:
      return replace(text, *step.pattern, step.text, limit);
    case Step::Precompiled:
      return step.charsmap->apply(text, limit);
  }
  return std::string(text);
}

std::string Normalizer::apply(std::string_view text) const {
  // Compatibility forms make up to 11 times as many bytes.
  const size_t limit = 64 * text.size() + (64 << 10);
  std::string result(text);
  for (const Step& step : steps_) {
    result = apply_step(step, result, limit);
    require(result.size() <= limit, "the tokenizer's normalizer makes more than {} bytes of a text", limit);
  }
  return result;
}

const Charsmap* Normalizer::charsmap() const {
  for (const Step& step : steps_)
    if (step.charsmap) return step.charsmap.get();
  return nullptr;
}

}  // namespace margay
