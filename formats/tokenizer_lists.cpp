#include "formats/tokenizer_lists.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/base64.h"
#include "formats/bpe.h"
#include "formats/sentencepiece_bpe.h"
#include "formats/unigram.h"
#include "formats/utf8.h"

namespace margay {
namespace {

using Json = nlohmann::json;

bool is_padding(std::string_view token, TokenType type, size_t id) {
  return type == TokenType::kUnused && token == padding_token(id);
}

Json added_token(size_t id, std::string content, bool special) {
  return {{"id", id},        {"content", std::move(content)}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false},           {"special", special}};
}

// The post_processor that puts bos before a text.
Json bos_template(const std::string& text, uint64_t id) {
  const auto piece = [](const char* kind, const std::string& name) {
    Json result;
    result[kind] = {{"id", name}, {"type_id", 0}};
    return result;
  };
  const Json bos = piece("SpecialToken", text), a = piece("Sequence", "A"), b = piece("Sequence", "B");
  Json result;
  result["type"] = "TemplateProcessing";
  result["single"] = Json::array({bos, a});
  result["pair"] = Json::array({bos, a, bos, b});
  result["special_tokens"][text] = {{"id", text}, {"ids", Json::array({id})}, {"tokens", Json::array({text})}};
  return result;
}

// Gives ids their texts and types where the vocabulary and the added tokens leave them open, and takes padding away.
void complete(Tokenizer::Impl& t, const std::vector<std::string_view>& tokens, const std::vector<TokenType>& types) {
  if (t.texts.size() < tokens.size()) {
    t.texts.resize(tokens.size());
    t.types.resize(tokens.size(), TokenType::kNormal);
  }
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (t.texts[id].empty()) t.texts[id] = tokens[id];
    if (t.types[id] == TokenType::kNormal) t.types[id] = types[id];
    if (is_padding(tokens[id], types[id], id)) t.texts[id].clear();
  }
  while (!t.texts.empty() && t.texts.back().empty()) t.texts.pop_back();
  t.types.resize(t.texts.size());
}

// SentencePiece's normalization in tokenizer.json's words.
Json sentencepiece_normalizer(const SentencePieceModel& model) {
  const std::string mark(kSpaceMark);
  Json steps = Json::array();
  if (!model.charsmap.empty())
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", base64_encode(model.charsmap)}});
  if (model.collapse_spaces) {
    steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}});
    steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", R"(\A | \z)"}}}, {"content", ""}});
  }
  if (model.prefix_space) steps.push_back({{"type", "Prepend"}, {"prepend", mark}});
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}});
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

Json sentencepiece_decoder(const SentencePieceModel& model) {
  Json steps = Json::array();
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", std::string(kSpaceMark)}}}, {"content", " "}});
  steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (model.prefix_space) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1u}, {"stop", 0u}});
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

// User-defined pieces are found in the text as it came: their spaces are spaces.
std::string plain_spaces(std::string_view piece) {
  std::string text;
  while (!piece.empty()) {
    const bool space = piece.starts_with(kSpaceMark);
    text += space ? ' ' : piece[0];
    piece.remove_prefix(space ? kSpaceMark.size() : 1);
  }
  return text;
}

void check_count(size_t tokens, const std::string& where) {
  require(tokens > 0 && tokens < size_t{std::numeric_limits<int32_t>::max()}, "{}: a vocabulary of {} tokens", where,
          tokens);
}

}  // namespace

std::string padding_token(size_t id) { return fmt::format("[PAD{}]", id); }

std::shared_ptr<Tokenizer::Impl> make_byte_bpe(const ByteBpeLists& lists, const GgufPre& pre,
                                               const std::string& where) {
  check_count(lists.tokens.size(), where);
  Json added = Json::array();
  for (size_t id = 0; id < lists.tokens.size(); ++id) {
    const TokenType type = lists.types[id];
    if (type == TokenType::kControl || type == TokenType::kUserDefined)
      added.push_back(added_token(id, std::string(lists.tokens[id]), type == TokenType::kControl));
  }
  Json json;
  json["version"] = "1.0";
  json["added_tokens"] = std::move(added);
  json["normalizer"] = Json::parse(pre.normalizer);
  json["pre_tokenizer"] = Json::parse(pre.pre_tokenizer);
  json["post_processor"] =
      lists.bos ? bos_template(std::string(lists.tokens[*lists.bos]), static_cast<uint64_t>(*lists.bos)) : Json();
  json["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  json["model"] = {{"type", "BPE"}, {"ignore_merges", pre.ignore_merges}};
  auto impl = std::make_shared<Tokenizer::Impl>(
      json, std::make_unique<Bpe>(lists.tokens, lists.merges, pre.ignore_merges, where),
      json.dump(-1, ' ', false, Json::error_handler_t::replace), where);
  impl->json_lacks_model = true;
  complete(*impl, lists.tokens, lists.types);
  return impl;
}

std::shared_ptr<Tokenizer::Impl> make_sentencepiece(const SentencePieceModel& model, const Json& added,
                                                    const std::string& where) {
  check_count(model.pieces.size(), where);
  Json tokens = added;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const TokenType type = model.types[id];
    if (type == TokenType::kControl || type == TokenType::kUnknown)
      tokens.push_back(added_token(id, std::string(model.pieces[id]), true));
    if (type == TokenType::kUserDefined) tokens.push_back(added_token(id, plain_spaces(model.pieces[id]), false));
  }
  Json json;
  json["added_tokens"] = std::move(tokens);
  json["normalizer"] = sentencepiece_normalizer(model);
  json["decoder"] = sentencepiece_decoder(model);
  std::unique_ptr<const TokenModel> given;
  if (model.unigram) given = std::make_unique<Unigram>(model.pieces, model.scores, model.types, where);
  else given = std::make_unique<SentencePieceBpe>(model.pieces, model.scores, model.types, where);
  auto impl = std::make_shared<Tokenizer::Impl>(json, std::move(given), "", where);
  complete(*impl, model.pieces, model.types);
  impl->find_cuts();
  return impl;
}

}  // namespace margay
