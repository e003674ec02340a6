// Files that are cut, flipped or lie: each must load or throw Error. Run it with the sanitizers too.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "formats/safetensors.h"
#include "formats/tokenizer.h"
#include "tests/formats/broken_files.h"
#include "tests/formats/made_gguf.h"
#include "tests/formats/made_tokenizer.h"

namespace margay {
namespace {

using test::put;
using test::survives;
using test::touch;

void read_gguf(const std::string& path) {
  const GgufFile file(path);
  uint64_t sum = touch(file.tensors());
  for (const GgufMetadata& entry : file.metadata()) sum += gguf_value_text(entry).size();
  ASSERT_GE(sum, 0u);
  if (file.has("tokenizer.ggml.model")) Tokenizer::from_gguf(file).encode("The 12 cats' <|end|>", true);
}

void read_safetensors(const std::string& path) {
  const Safetensors file(path);
  ASSERT_GE(touch(file.tensors()), 0u);
}

std::string small_gguf() {
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.set("general.alignment", uint32_t{32});
  writer.set("numbers", std::vector<float>{1, 2, 3});
  writer.set("flags", std::vector<bool>{true, false});
  writer.set("nested", GgufValue::array(GgufType::Array, {GgufValue::of(std::vector<int32_t>{1, 2})}));
  nlohmann::json json = test::made_tokenizer();
  json["added_tokens"] = {{{"id", 256}, {"content", "<|end|>"}, {"special", true}}};
  test::load_tokenizer(json, "gguf-broken").to_gguf(writer);
  writer.erase("tokenizer.huggingface.json");
  writer.add_tensor("a", DType::F32, {2, 3});
  writer.add_tensor("b", DType::Q4_0, {1, 32});
  const std::string path = test::scratch("small.gguf");
  writer.write(path, [&](size_t index, const GgufWriter::Sink& sink) {
    const std::string bytes(writer.tensor(index).bytes, 'x');
    sink(bytes.data(), bytes.size());
  });
  return read_text_file(path);
}

TEST(BrokenInput, Gguf) {
  const std::string path = test::scratch("broken.gguf");
  survives(path, small_gguf(), 4000, [&] { read_gguf(path); });
}

TEST(BrokenInput, Safetensors) {
  const std::string path = test::scratch("broken.safetensors"), good = test::scratch("small.safetensors");
  const std::vector<float> values = {1, 2, 3, 4};
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  write_safetensors(good,
                    std::vector<TensorEntry>{{"a", DType::F32, {2, 2}, data, 16}, {"b", DType::BF16, {4}, data, 8}},
                    {{"format", "pt"}});
  survives(path, read_text_file(good), 4000, [&] { read_safetensors(path); });
}

TEST(BrokenInput, ConfigJson) {
  const std::string path = test::scratch("broken-config.json");
  survives(path, read_text_file(test::data("hf/tiny-llama3/config.json")), 1000, [&] { HfConfig(path).rope(); });
}

bool loads(const test::MadeGguf& made) {
  const std::string path = test::scratch("made.gguf");
  put(path, made.bytes());
  try {
    read_gguf(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(BrokenInput, GgufLies) {
  using Made = test::MadeGguf;
  const auto one = [](std::vector<uint64_t> ne, uint32_t type = 0, uint64_t offset = 0) {
    return loads(Made().header(1, 0).tensor("t", std::move(ne), type, offset).zeros(256));
  };
  const auto key = [](uint32_t type) { return Made().header(0, 1).text("key").number(type); };
  EXPECT_TRUE(loads(Made().header(0, 0)));
  EXPECT_TRUE(loads(Made().header(0, 0, 2)));
  EXPECT_FALSE(loads(Made().header(0, 0, 1)));
  EXPECT_FALSE(loads(Made().header(0, 0, 4)));
  EXPECT_FALSE(loads(Made().header(0, 0, 0x03000000)));  // big-endian
  EXPECT_FALSE(loads(Made().header(~uint64_t{0}, 0).zeros(100)));
  EXPECT_FALSE(loads(Made().header(0, ~uint64_t{0}).zeros(100)));

  EXPECT_TRUE(one({4, 4}));
  EXPECT_FALSE(one({4, 1000}));
  EXPECT_FALSE(one({uint64_t{1} << 32, uint64_t{1} << 32}));  // product wraps to 0
  EXPECT_FALSE(one({uint64_t{1} << 62, 4, 1}));               // bytes wrap
  EXPECT_FALSE(one({~uint64_t{0}}));                          // negative
  EXPECT_FALSE(one({33}, 2));                                 // no whole block of Q4_0
  EXPECT_FALSE(one({1, 1, 1, 1, 1}));                         // five dimensions
  for (const uint32_t type : {4u, 31u, 1000u, 0xffffffffu}) EXPECT_FALSE(one({4}, type));
  EXPECT_FALSE(one({4}, 0, 4));  // not aligned
  EXPECT_FALSE(one({4}, 0, uint64_t{1} << 40));
  EXPECT_FALSE(one({4}, 0, ~uint64_t{31}));  // offset + size wraps
  const auto two = [](const char* name, uint64_t offset) {
    return loads(Made().header(2, 0).tensor("t", {16}, 0, 0).tensor(name, {16}, 0, offset).zeros(256));
  };
  EXPECT_TRUE(two("u", 64));
  EXPECT_FALSE(two("u", 32));  // overlap
  EXPECT_FALSE(two("t", 64));  // the same name

  EXPECT_TRUE(loads(key(8).text("value")));
  EXPECT_FALSE(loads(key(13).zeros(64)));
  EXPECT_FALSE(loads(key(8).number(~uint64_t{0}).zeros(64)));
  EXPECT_FALSE(loads(key(8).number(uint64_t{65}).zeros(64)));
  EXPECT_FALSE(loads(key(9).number(uint32_t{10}).number(uint64_t{1} << 61).zeros(64)));  // count x 8 wraps
  EXPECT_FALSE(loads(key(9).number(uint32_t{8}).number(uint64_t{1} << 40).zeros(64)));
  EXPECT_FALSE(loads(key(9).number(uint32_t{99}).number(uint64_t{0})));
  Made deep = key(9);
  for (int i = 0; i < 5000; ++i) deep.number(uint32_t{9}).number(uint64_t{1});
  EXPECT_FALSE(loads(deep));
  EXPECT_FALSE(loads(Made().header(0, 2).text("k").number(0u).zeros(1).text("k").number(0u).zeros(1)));
  for (const uint32_t alignment : {0u, 3u, 0x80000000u, 1u << 21})
    EXPECT_FALSE(loads(Made().header(0, 1).text("general.alignment").number(4u).number(alignment)));
  EXPECT_FALSE(loads(Made().header(0, 1).text("general.alignment").number(8u).text("32")));
}

TEST(BrokenInput, EmptyAndAbsent) {
  const std::string path = test::scratch("empty");
  put(path, "");
  EXPECT_THROW(GgufFile{path}, Error);
  EXPECT_THROW(Safetensors{path}, Error);
  EXPECT_THROW(HfConfig{path}, Error);
  EXPECT_THROW(GgufFile{path + "-absent"}, Error);
  EXPECT_THROW(Tokenizer::from_huggingface(path + "-absent"), Error);
}

}  // namespace
}  // namespace margay
