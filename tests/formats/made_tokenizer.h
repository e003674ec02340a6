// A small tokenizer.json for tests: a token for every byte, ids 0 to 255, no merges.
#pragma once
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "formats/tokenizer.h"
#include "formats/utf8.h"
#include "tests/test_data.h"

namespace margay::test {

inline nlohmann::json made_tokenizer() {
  nlohmann::json json = nlohmann::json::parse(R"({"version":"1.0","added_tokens":[],"normalizer":null,
      "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
      "post_processor":null,"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{},"merges":[]}})");
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    append_byte_character(text, static_cast<uint8_t>(byte));
    json["model"]["vocab"][text] = byte;
  }
  return json;
}

inline Tokenizer load_tokenizer(const nlohmann::json& json, const std::string& name) {
  const std::string folder = scratch("tokenizer-" + name);
  (void)std::system(("mkdir -p '" + folder + "'").c_str());
  write_text_file(folder + "/tokenizer.json", json.dump());
  return Tokenizer::from_huggingface(folder);
}

}  // namespace margay::test
