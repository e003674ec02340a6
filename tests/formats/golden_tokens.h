// Strings with the answers of the original tokenizers, tests/data/tokens/*.jsonl.
#pragma once
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/gguf.h"
#include "formats/tokenizer.h"
#include "formats/utf8.h"
#include "tests/test_data.h"

namespace margay::test {

// Writes the tokenizer into a GGUF file without tensors and reads it back. `keep_json` false drops the tokenizer.json,
// as other converters do. `rows` as to_gguf() has it.
inline Tokenizer through_gguf(const Tokenizer& tokenizer, const std::string& name, bool keep_json, int64_t rows = 0) {
  GgufWriter writer;
  tokenizer.to_gguf(writer, rows);
  if (!keep_json) writer.erase("tokenizer.huggingface.json");
  const std::string path = scratch(name + ".gguf");
  writer.write(path, [](size_t, const GgufWriter::Sink&) {});
  return Tokenizer::from_gguf(GgufFile(path));
}

// A folder, or one file, of tests/data.
inline Tokenizer committed_tokenizer(const std::string& name) {
  const std::string path = data(name);
  return is_directory(path) ? Tokenizer::from_huggingface(path) : Tokenizer::from_file(path);
}

// Ids, text, and text token by token of all of tokens/<strings>.jsonl; returns how many there are.
inline int check_golden_tokens(const Tokenizer& tokenizer, const std::string& strings) {
  std::ifstream file(data("tokens/" + strings + ".jsonl"));
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const auto row = nlohmann::json::parse(line);
    const auto text = row["text"].get<std::string>();
    const auto ids = row["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text, false), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), row["decoded"].get<std::string>());
    std::string streamed;
    StreamDecoder stream(tokenizer);
    for (const int32_t id : ids) {
      const std::string piece = stream.push(id);
      EXPECT_TRUE(is_utf8(piece));
      streamed += piece;
    }
    EXPECT_EQ(streamed + stream.finish(), row["decoded"].get<std::string>());
  }
  return count;
}

}  // namespace margay::test
