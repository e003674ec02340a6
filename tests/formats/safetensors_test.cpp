#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/half.h"
#include "formats/checkpoint.h"
#include "tests/test_data.h"

namespace margay {
namespace {

template <class T>
TensorEntry entry(const std::string& name, DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  return {name, dtype, std::move(shape), reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(T)};
}

std::string fresh_folder(const std::string& name) {
  const std::string folder = test::scratch(name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

// A file from a header as text and a number of zero bytes of data.
std::string raw_file(const std::string& name, const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::string bytes(reinterpret_cast<const char*>(&size), 8);
  bytes += header + std::string(data_bytes, '\0');
  const std::string path = test::scratch(name);
  write_text_file(path, bytes);
  return path;
}

TEST(Safetensors, EveryTypeMakesTheRoundTrip) {
  const std::vector<float> f32 = {1.5f, -2.0f, 0.0f, INFINITY, 3.0f, -0.25f};
  const std::vector<double> f64 = {0.5, -8.0};
  const std::vector<uint16_t> f16 = {float_to_half(0.5f), float_to_half(-3.0f)};
  const std::vector<uint16_t> bf16 = {float_to_bf16(7.0f)};
  const std::vector<int64_t> i64 = {int64_t{1} << 40, -1};
  const std::vector<int32_t> i32 = {-5};
  const std::vector<int16_t> i16 = {-300};
  const std::vector<int8_t> i8 = {-7, 7};
  const std::vector<TensorEntry> tensors = {entry("z", DType::F32, {2, 3}, f32),   entry("f64", DType::F64, {2}, f64),
                                            entry("f16", DType::F16, {1, 2}, f16), entry("bf16", DType::BF16, {}, bf16),
                                            entry("i64", DType::I64, {2}, i64),    entry("i32", DType::I32, {1}, i32),
                                            entry("i16", DType::I16, {1}, i16),    entry("i8", DType::I8, {2}, i8)};
  const std::string path = test::scratch("every.safetensors");
  write_safetensors(path, tensors, {{"format", "pt"}, {"note", "a \"quoted\" word"}});
  const Safetensors file(path);
  EXPECT_EQ(file.tensors().size(), tensors.size());
  EXPECT_EQ(file.metadata().at("note"), "a \"quoted\" word");
  EXPECT_EQ(file.tensor("z").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(to_float(file.tensor("z")), f32);
  EXPECT_EQ(to_float(file.tensor("f64")), (std::vector<float>{0.5f, -8.0f}));
  EXPECT_EQ(to_float(file.tensor("f16")), (std::vector<float>{0.5f, -3.0f}));
  EXPECT_EQ(to_float(file.tensor("bf16")), std::vector<float>{7.0f});
  EXPECT_EQ(to_int64(file.tensor("i64")), i64);
  EXPECT_EQ(to_int64(file.tensor("i32")), std::vector<int64_t>{-5});
  EXPECT_EQ(to_int64(file.tensor("i16")), std::vector<int64_t>{-300});
  EXPECT_EQ(to_int64(file.tensor("i8")), (std::vector<int64_t>{-7, 7}));
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_THROW(file.tensor("absent"), Error);
  EXPECT_THROW(to_float(file.tensor("i64")), Error);
  EXPECT_THROW(to_int64(file.tensor("z")), Error);
  EXPECT_THROW(write_safetensors(path, std::vector{tensors[0], tensors[0]}), Error);
  EXPECT_THROW(write_safetensors(path, std::vector{entry("q", DType::Q4_0, {32}, std::vector<int8_t>(18))}), Error);
}

TEST(Safetensors, ReadsWhatTheReferenceWrote) {
  const Checkpoint model(test::data("hf/tiny-llama3"));
  const TensorEntry& embedding = model.tensor("model.embed_tokens.weight");
  EXPECT_EQ(embedding.dtype, DType::BF16);
  EXPECT_EQ(embedding.shape, (std::vector<int64_t>{1024, 128}));
  const Safetensors golden(test::data("hf/tiny-llama3/golden.safetensors"));
  EXPECT_EQ(to_int64(golden.tensor("input_ids")).size(), 96u);
  EXPECT_EQ(to_float(golden.tensor("logits")).size(), 96u * 1024);
}

TEST(Safetensors, Shards) {
  const std::string folder = fresh_folder("sharded");
  const std::vector<float> a = {1, 2}, b = {3};
  write_safetensors(folder + "/one.safetensors", std::vector{entry("a", DType::F32, {2}, a)});
  write_safetensors(folder + "/two.safetensors", std::vector{entry("b", DType::F32, {1}, b)});
  const auto open = [&](const std::string& map) {
    write_text_file(folder + "/model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
    return Checkpoint(folder);
  };
  const Checkpoint model = open(R"("a":"one.safetensors","b":"two.safetensors")");
  EXPECT_EQ(model.tensors().size(), 2u);
  EXPECT_EQ(to_float(model.tensor("b")), b);
  EXPECT_THROW(open(R"("a":"two.safetensors","b":"two.safetensors")"), Error);
  EXPECT_THROW(open(R"("a":"one.safetensors")").tensor("b"), Error);
  EXPECT_THROW(open(R"("a":"one.safetensors","b":"two.safetensors","c":"two.safetensors")"), Error);
  EXPECT_THROW(open(R"("a":"one.safetensors","b":"three.safetensors")"), Error);
  EXPECT_THROW(open(R"("a":"../sharded/one.safetensors","b":"two.safetensors")"), Error);
  EXPECT_THROW(open(R"("a":"","b":"two.safetensors")"), Error);
  EXPECT_THROW(open(R"("a":1)"), Error);
  EXPECT_THROW(Checkpoint(fresh_folder("nothing")), Error);
}

TEST(Safetensors, FloatsOfEightBits) {
  const std::string path = raw_file("f8.safetensors",
                                    R"({"e4m3":{"dtype":"F8_E4M3","shape":[6],"data_offsets":[0,6]},)"
                                    R"("e5m2":{"dtype":"F8_E5M2","shape":[6],"data_offsets":[6,12]}})",
                                    0);
  // 1, -1, the largest, the smallest, -0, NaN
  write_text_file(path, read_text_file(path) + std::string("\x38\xb8\x7e\x01\x80\x7f\x3c\xbc\x7b\x01\x80\x7e", 12));
  const Safetensors file(path);
  std::vector<float> e4m3 = to_float(file.tensor("e4m3")), e5m2 = to_float(file.tensor("e5m2"));
  for (std::vector<float>* values : {&e4m3, &e5m2}) {
    EXPECT_TRUE(std::isnan(values->back()));
    EXPECT_TRUE(std::signbit((*values)[4]));
    values->pop_back();
  }
  EXPECT_EQ(e4m3, (std::vector<float>{1, -1, 448, 1.0f / 512, 0}));
  EXPECT_EQ(e5m2, (std::vector<float>{1, -1, 57344, 1.0f / 65536, 0}));
  EXPECT_THROW(to_int64(file.tensor("e4m3")), Error);
}

TEST(Safetensors, ForeignTypesAreListedAndRefusedWhenRead) {
  const Safetensors file(raw_file("foreign.safetensors",
                                  R"({"m":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]},)"
                                  R"("w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                  8));
  EXPECT_EQ(file.unsupported().at("m"), "BOOL");
  EXPECT_EQ(file.tensors().size(), 1u);
  EXPECT_THROW(file.find("m"), Error);
}

TEST(Safetensors, LiesAreRefused) {
  const auto open = [](const std::string& header, size_t bytes) {
    Safetensors(raw_file("lie.safetensors", header, bytes));
  };
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return R"({"w":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  EXPECT_NO_THROW(open(one("[2]", "[0,8]"), 8));
  EXPECT_THROW(open(one("[2]", "[0,8]"), 7), Error);
  EXPECT_THROW(open(one("[3]", "[0,8]"), 8), Error);
  EXPECT_THROW(open(one("[2]", "[8,0]"), 8), Error);
  EXPECT_THROW(open(one("[-2]", "[0,8]"), 8), Error);
  EXPECT_THROW(open(one("[2.0]", "[0,8]"), 8), Error);
  EXPECT_THROW(open(one("[4294967296,4294967296]", "[0,8]"), 8), Error);
  EXPECT_THROW(open(one("[9223372036854775810]", "[0,8]"), 8), Error);
  EXPECT_THROW(open(one("[2]", "[0,18446744073709551615]"), 8), Error);
  EXPECT_THROW(open(one("[2]", "[0]"), 8), Error);
  EXPECT_THROW(open(one("2", "[0,8]"), 8), Error);
  EXPECT_THROW(open(one(std::string(100000, '['), "[0,8]"), 8), Error);
  EXPECT_THROW(open("[]", 0), Error);
  EXPECT_THROW(open("{\"w\":1}", 0), Error);
  EXPECT_THROW(open(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                    R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                    8),
               Error);
  EXPECT_THROW(open(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                    R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                    8),
               Error);
}

}  // namespace
}  // namespace margay
