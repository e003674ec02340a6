#include "formats/sentencepiece_model.h"

#include "base/error.h"
#include "formats/protobuf.h"
#include "formats/utf8.h"

namespace margay {
namespace {

void read_piece(SentencePieceModel& model, std::string_view message, const std::string& where) {
  std::string_view piece;
  float score = 0;
  uint64_t type = static_cast<uint64_t>(TokenType::kNormal);
  for (ProtobufReader reader(message, where); reader.next();) {
    if (reader.field() == 1) piece = reader.bytes();
    if (reader.field() == 2) score = reader.number();
    if (reader.field() == 3) type = reader.integer();
  }
  const size_t id = model.pieces.size();
  require(!piece.empty() && is_utf8(piece), "{}: piece {} is {}", where, id,
          piece.empty() ? "empty" : "not valid UTF-8");
  require(type >= 1 && type <= 6, "{}: piece {} has type {}, expected 1 to 6", where, id, type);
  model.pieces.push_back(piece);
  model.scores.push_back(score);
  model.types.push_back(static_cast<TokenType>(type));
}

struct Trainer {
  int64_t bos = 1, eos = 2;
  uint64_t kind = 1;
};

Trainer read_trainer(std::string_view message, const std::string& where) {
  Trainer trainer;
  for (ProtobufReader reader(message, where); reader.next();) {
    if (reader.field() == 3) trainer.kind = reader.integer();
    if (reader.field() == 41) trainer.bos = static_cast<int64_t>(reader.integer());
    if (reader.field() == 42) trainer.eos = static_cast<int64_t>(reader.integer());
    require(reader.field() != 24 || !reader.boolean(), "{}: treat_whitespace_as_suffix is not supported", where);
  }
  static constexpr const char* kKinds[] = {"0", "UNIGRAM", "BPE", "WORD", "CHAR"};
  require(trainer.kind == 1 || trainer.kind == 2, "{}: models of type {} are not supported (BPE and UNIGRAM are)",
          where, trainer.kind < std::size(kKinds) ? kKinds[trainer.kind] : std::to_string(trainer.kind));
  return trainer;
}

void read_normalizer(SentencePieceModel& model, std::string_view message, const std::string& where) {
  for (ProtobufReader reader(message, where); reader.next();) {
    if (reader.field() == 2) model.charsmap = reader.bytes();
    if (reader.field() == 3) model.prefix_space = reader.boolean();
    if (reader.field() == 4) model.collapse_spaces = reader.boolean();
    require(reader.field() != 5 || reader.boolean(), "{}: models that do not escape white space are not supported",
            where);
  }
}

}  // namespace

SentencePieceModel read_sentencepiece_model(std::string_view bytes, const std::string& where) {
  SentencePieceModel model;
  model.collapse_spaces = true;  // SentencePiece's default
  Trainer trainer;
  for (ProtobufReader reader(bytes, where); reader.next();) {
    if (reader.field() == 1) read_piece(model, reader.bytes(), where);
    if (reader.field() == 2) trainer = read_trainer(reader.bytes(), where);
    if (reader.field() == 3) read_normalizer(model, reader.bytes(), where);
  }
  require(!model.pieces.empty(), "{}: has no pieces; is it a SentencePiece model?", where);
  model.unigram = trainer.kind == 1;
  // -1, or a piece that is no control token: the model has none.
  const auto control = [&](int64_t id) -> std::optional<int32_t> {
    if (id < 0 || id >= static_cast<int64_t>(model.types.size()) || model.types[id] != TokenType::kControl)
      return std::nullopt;
    return static_cast<int32_t>(id);
  };
  model.bos = control(trainer.bos);
  model.eos = control(trainer.eos);
  return model;
}

}  // namespace margay
