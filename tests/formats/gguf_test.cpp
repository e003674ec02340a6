#include "formats/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using Bytes = std::vector<uint8_t>;

GgufWriter every_type() {
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.set("u8", uint8_t{200});
  writer.set("i8", int8_t{-100});
  writer.set("u16", uint16_t{60000});
  writer.set("i16", int16_t{-30000});
  writer.set("u32", uint32_t{4000000000u});
  writer.set("i32", int32_t{-2000000000});
  writer.set("u64", ~uint64_t{0});
  writer.set("i64", int64_t{-9000000000000000000});
  writer.set("f32", 1.5f);
  writer.set("f64", 0.1);
  writer.set("bool", true);
  writer.set("string", std::string("Größe\0x", 9));
  writer.set("strings", std::vector<std::string>{"a", "", "ccc"});
  writer.set("views", std::vector<std::string_view>{"x"});
  writer.set("i32s", std::vector<int32_t>{1, -2, 3});
  writer.set("u32s", std::vector<uint32_t>{1, 2});
  writer.set("f32s", std::vector<float>{0.5f, -1.0f});
  writer.set("bools", std::vector<bool>{true, false, true});
  writer.set("empty", std::vector<std::string>{});
  writer.set("nested", GgufValue::array(GgufType::Array, {GgufValue::of(std::vector<int32_t>{1, 2}),
                                                          GgufValue::of(std::vector<std::string>{"z"})}));
  return writer;
}

void produce_pattern(const GgufWriter& writer, size_t index, const GgufWriter::Sink& sink) {
  Bytes bytes(writer.tensor(index).bytes);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + index);
  const size_t half = bytes.size() / 2;
  sink(bytes.data(), half);
  sink(bytes.data() + half, bytes.size() - half);
}

std::string write(const GgufWriter& writer, const std::string& name) {
  const std::string path = test::scratch(name + ".gguf");
  writer.write(path, [&](size_t index, const GgufWriter::Sink& sink) { produce_pattern(writer, index, sink); });
  return path;
}

TEST(Gguf, EveryMetadataTypeMakesTheRoundTrip) {
  GgufFile file(write(every_type(), "types"));
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.metadata().size(), 21u);
  EXPECT_EQ(file.metadata()[1].key, "u8");
  EXPECT_EQ(file.u64("u8"), 200u);
  EXPECT_EQ(file.u64("u16"), 60000u);
  EXPECT_EQ(file.u64("u32"), 4000000000u);
  EXPECT_EQ(file.u64("u64"), ~uint64_t{0});
  EXPECT_EQ(file.f64("i8"), -100);
  EXPECT_EQ(file.f64("i16"), -30000);
  EXPECT_EQ(file.f64("i32"), -2000000000);
  EXPECT_EQ(file.f64("i64"), -9e18);
  EXPECT_EQ(file.f64("f32"), 1.5);
  EXPECT_EQ(file.f64("f64"), 0.1);
  EXPECT_TRUE(file.boolean("bool"));
  EXPECT_EQ(file.string("string"), std::string_view("Größe\0x", 9));
  EXPECT_EQ(file.strings("strings"), (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(file.strings("views"), std::vector<std::string_view>{"x"});
  EXPECT_EQ(file.integers("i32s"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(file.integers("u32s"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(file.floats("f32s"), (std::vector<float>{0.5f, -1.0f}));
  EXPECT_EQ(file.booleans("bools"), (std::vector<bool>{true, false, true}));
  EXPECT_TRUE(file.strings("empty").empty());
  EXPECT_EQ(gguf_value_text(*file.find_metadata("nested")), "[[1, 2], [\"z\"]]");
  EXPECT_EQ(gguf_value_text(*file.find_metadata("i32s"), 2), "[1, -2, ... 3 in all]");

  EXPECT_EQ(file.u64_or("absent", 7), 7u);
  EXPECT_EQ(file.string_or("absent", "x"), "x");
  EXPECT_EQ(file.f64_or("f32", 9), 1.5);
  EXPECT_TRUE(file.boolean_or("absent", true));
  EXPECT_EQ(file.integers_or("absent", {4}), std::vector<int64_t>{4});
  // Moving keeps the views valid.
  const GgufFile moved = std::move(file);
  EXPECT_EQ(moved.string("general.architecture"), "llama");
}

TEST(Gguf, TypeAndSignAreChecked) {
  const GgufFile file(write(every_type(), "types"));
  EXPECT_THROW(file.u64("absent"), Error);
  EXPECT_THROW(file.u64("f32"), Error);
  EXPECT_THROW(file.u64("i8"), Error);  // negative
  EXPECT_THROW(file.u64("bool"), Error);
  EXPECT_THROW(file.string("u8"), Error);
  EXPECT_THROW(file.boolean("u8"), Error);
  EXPECT_THROW(file.integers("f32s"), Error);
  EXPECT_THROW(file.integers("strings"), Error);
  EXPECT_THROW(file.integers("u8"), Error);
  EXPECT_THROW(file.floats("i32s"), Error);
  EXPECT_THROW(file.strings("nested"), Error);
  EXPECT_THROW(file.booleans("i32s"), Error);
  EXPECT_THROW(file.u64_or("string", 1), Error);
  EXPECT_THROW(file.tensor("absent"), Error);
}

TEST(Gguf, TensorsMakeTheRoundTrip) {
  GgufWriter writer = every_type();
  writer.set("general.alignment", uint32_t{64});
  writer.add_tensor("f32", DType::F32, {3, 5});
  writer.add_tensor("q4", DType::Q4_0, {2, 64});
  writer.add_tensor("none", DType::F32, {0, 4});
  writer.add_tensor("f16", DType::F16, {2, 3, 4, 5});
  const GgufFile file(write(writer, "tensors"));
  EXPECT_EQ(file.alignment(), 64u);
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.tensor("f16").shape, (std::vector<int64_t>{2, 3, 4, 5}));
  EXPECT_EQ(file.tensor("q4").bytes, 2u * 2 * 18);
  EXPECT_EQ(file.tensor("f32").elements(), 15);
  EXPECT_EQ(file.find("absent"), nullptr);
  for (size_t index = 0; index < file.tensors().size(); ++index) {
    const TensorEntry& tensor = file.tensors()[index];
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data) % 64, 0u);
    for (size_t i = 0; i < tensor.bytes; ++i)
      ASSERT_EQ(std::to_integer<uint8_t>(tensor.data[i]), static_cast<uint8_t>(i * 7 + index));
  }

  GgufWriter copy;
  copy.copy_metadata(file, [](std::string_view key) { return key != "u8"; });
  EXPECT_FALSE(copy.has("u8"));
  copy.add_tensor("one", DType::F32, {1});
  const GgufFile again(write(copy, "copy"));
  EXPECT_EQ(again.alignment(), 64u);
  EXPECT_EQ(again.metadata().size(), file.metadata().size() - 1);
  EXPECT_EQ(gguf_value_text(*again.find_metadata("nested")), gguf_value_text(*file.find_metadata("nested")));
}

TEST(GgufWriter, ChecksItsCaller) {
  GgufWriter writer;
  writer.add_tensor("a", DType::F32, {4});
  EXPECT_THROW(writer.add_tensor("a", DType::F32, {4}), Error);
  EXPECT_THROW(writer.add_tensor("", DType::F32, {4}), Error);
  EXPECT_THROW(writer.add_tensor("q", DType::Q4_0, {33}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::F32, {1, 1, 1, 1, 1}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::F32, {int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::Q8_ACT, {32}), Error);
  EXPECT_THROW(writer.set("general.alignment", uint32_t{24}), Error);
  const std::string path = test::scratch("never-written.gguf");
  const float values[5] = {};
  for (const size_t bytes : {12, 20})
    EXPECT_THROW(writer.write(path, [&](size_t, const GgufWriter::Sink& sink) { sink(values, bytes); }), Error);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace margay
