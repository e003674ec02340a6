#include "formats/token_model.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/bpe.h"
#include "formats/tokenizer_fields.h"
#include "formats/unigram.h"

namespace margay {

using Json = nlohmann::json;

std::optional<int32_t> TokenModel::find(std::string_view text) const {
  const int64_t entry = ids_.find(text);
  if (entry < 0) return std::nullopt;
  return ids_.id(entry);
}

std::unique_ptr<TokenModel> read_token_model(const Json& tokenizer, bool bytes, const std::string& where) {
  const Json& model = optional_field(tokenizer, "model");
  const Json& type = optional_field(model, "type");
  // Files of early versions leave the type out; a list of merges tells BPE from the others.
  const std::string name = type.is_string()                             ? type.get<std::string>()
                           : optional_field(model, "merges").is_array() ? "BPE"
                                                                        : "without a type";
  if (name == "BPE") return std::make_unique<Bpe>(model, bytes, where);
  require(name == "Unigram" && !bytes, "{}: model {}{} is not supported (BPE and Unigram are)", where, name,
          name == "Unigram" ? " over bytes" : "");
  // What is found before the model sees the text must not come out of plain text.
  std::unordered_set<int32_t> special;
  if (const Json& added = optional_field(tokenizer, "added_tokens"); added.is_array())
    for (const Json& token : added)
      if (bool_field(token, "special", false, where))
        special.insert(token_id_field(optional_field(token, "id"), where));
  return std::make_unique<Unigram>(model, special, where);
}

}  // namespace margay
