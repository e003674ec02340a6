#include "formats/decoder.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/tokenizer_fields.h"
#include "formats/unknown_tokens.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

size_t count_field(const Json& object, const char* name, const std::string& where) {
  return static_cast<size_t>(token_id_field(optional_field(object, name), where + ": decoder Strip"));
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  if (at == std::string::npos) return;
  std::string out;
  size_t copied = 0;
  for (; at != std::string::npos; at = text.find(from, copied)) {
    out.append(text, copied, at - copied).append(to);
    copied = at + from.size();
  }
  text = out.append(text, copied);
}

}  // namespace

Decoder::Decoder(const Json& json, bool bytes, const std::string& where) {
  add(json, where, 0);
  require(bytes_ == bytes, "{}: the decoder has {} ByteLevel step, but the pre_tokenizer has {}", where,
          bytes_ ? "a" : "no", bytes ? "one" : "none");
}

void Decoder::add(const Json& json, const std::string& where, int depth) {
  require(depth < 16 && replacements_.size() < 16, "{}: the decoder is nested or chained too deeply", where);
  const std::string type = string_field(json, "type", where + ": decoder");
  if (type == "Sequence") {
    for (const Json& child : array_field(json, "decoders", where)) add(child, where, depth + 1);
  } else if (type == "ByteLevel") {
    bytes_ = true;
  } else if (type == "ByteFallback") {
    byte_tokens_ = true;
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Metaspace") {
    replacements_.emplace_back(string_field(json, "replacement", where + ": decoder Metaspace"), " ");
    require(!replacements_.back().first.empty(), "{}: the decoder's Metaspace replaces nothing", where);
    const Json& scheme = optional_field(json, "prepend_scheme");
    stripped_ = scheme.is_string() ? scheme != "never" : bool_field(json, "add_prefix_space", true, where);
  } else if (type == "Replace") {
    const Json& from = optional_field(optional_field(json, "pattern"), "String");
    require(from.is_string() && !from.get_ref<const std::string&>().empty() && !fused_,
            "{}: the decoder's Replace {} is not supported", where, fused_ ? "after Fuse" : "of a regular expression");
    const std::string content = string_field(json, "content", where + ": decoder Replace");
    // So that no token grows.
    require(content.size() <= from.get_ref<const std::string&>().size(),
            "{}: the decoder's Replace puts in {} bytes for {}, at most as many are supported", where, content.size(),
            from.get_ref<const std::string&>().size());
    replacements_.emplace_back(from.get<std::string>(), content);
  } else if (type == "Strip") {
    require(fused_ && count_field(json, "stop", where) == 0 && string_field(json, "content", where) == " ",
            "{}: the decoder's Strip is supported for leading spaces after Fuse only", where);
    stripped_ = count_field(json, "start", where);
  } else {
    fail("{}: decoder {} is not supported (ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip, Sequence are)",
         where, type);
  }
}

void Decoder::append(std::string& out, std::string_view token) const {
  if (bytes_) {
    if (!characters_to_bytes(token, out)) out += token;  // an added token with a space, say, stands for itself
    return;
  }
  if (byte_tokens_) {
    if (const auto byte = byte_of_token(token)) {
      out += static_cast<char>(*byte);
      return;
    }
  }
  std::string text(token);
  for (const auto& [from, to] : replacements_) replace_all(text, from, to);
  out += text;
}

}  // namespace margay
