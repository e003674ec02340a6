#include "convert/quantize.h"

#include <cmath>

#include "base/interrupt.h"
#include "convert/import_huggingface.h"
#include "convert/target_type.h"
#include "tests/convert/convert_data.h"

namespace margay::test {
namespace {

namespace fs = std::filesystem;

// The tiny model in a type; made once.
std::string tiny(DType type) {
  const Quiet quiet;
  const std::string path = scratch(fmt::format("tiny-{}.gguf", type_name(type)));
  import_huggingface(data("hf/tiny-llama3"), path, type, 2);
  return path;
}

ConvertReport quantize(const std::string& in, const std::string& out, DType type, int threads = 2) {
  const Quiet quiet;
  return quantize_gguf(in, out, type, threads);
}

struct Named {
  std::string name;
  DType type;
  std::vector<int64_t> shape;
};

// A GGUF file with these tensors, filled with a fixed pattern of small floats (or zero bytes for other types).
std::string make_gguf(const std::string& name, const std::vector<Named>& tensors) {
  const std::string path = scratch(name);
  GgufWriter writer;
  writer.set("general.architecture", "test");
  writer.set("test.numbers", std::vector<int32_t>{1, -2, 3});
  writer.set("general.file_type", uint32_t{0});
  for (const Named& tensor : tensors) writer.add_tensor(tensor.name, tensor.type, tensor.shape);
  writer.write(path, [&](size_t index, const GgufWriter::Sink& sink) {
    std::vector<float> values(writer.tensor(index).bytes / 4 + 1);
    for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i)) / 4;
    std::vector<std::byte> bytes(writer.tensor(index).bytes);
    if (tensors[index].type == DType::F32 && !bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    sink(bytes.data(), bytes.size());
  });
  return path;
}

TEST(TargetType, NamesInAnyCase) {
  EXPECT_EQ(target_type("q8_0"), DType::Q8_0);
  EXPECT_EQ(target_type("Q4_0"), DType::Q4_0);
  EXPECT_EQ(target_type("bF16"), DType::BF16);
  EXPECT_EQ(target_type("q4_k_m"), DType::Q4_K);
  EXPECT_EQ(target_type("Q4_K"), DType::Q4_K);
  EXPECT_EQ(target_type("iq4_xs"), DType::IQ4_XS);
  EXPECT_ERROR(target_type("q4_k_l"), "is not known; there are F32, F16, BF16, Q8_0, Q4_0");
  EXPECT_ERROR(target_type("float"), "is not known");
  EXPECT_ERROR(target_type("i32"), "cannot be written");
}

TEST(TargetType, SmallTensorsStayFloat) {
  EXPECT_EQ(choose_type("blk.0.attn_q.weight", {128, 128}, DType::Q4_0, true).type, DType::Q4_0);
  EXPECT_EQ(choose_type("blk.0.attn_norm.weight", {128}, DType::Q4_0, true).type, DType::F32);
  EXPECT_EQ(choose_type("blk.0.attn_fmap_q.weight", {8, 64, 64}, DType::Q4_0, true).type, DType::F32);
  EXPECT_EQ(choose_type("blk.0.attn_window_factor", {8}, DType::F16, true).type, DType::F32);
  EXPECT_EQ(choose_type("rope_freqs.weight", {32}, DType::F16, true).type, DType::F32);
  EXPECT_EQ(choose_type("token_embd.weight", {1024, 128}, DType::Q4_0, true).type, DType::Q8_0);
  EXPECT_EQ(choose_type("token_embd.weight", {1024, 128}, DType::Q4_0, false).type, DType::Q4_0);
  EXPECT_EQ(choose_type("output.weight", {1024, 128}, DType::Q4_0, false).type, DType::Q8_0);
  EXPECT_TRUE(choose_type("blk.0.attn_q.weight", {128, 37}, DType::Q4_0, true).fallback);
}

TEST(TargetType, MixesAndFallbacks) {
  const auto type = [](const char* name, int64_t columns, DType wanted) {
    return choose_type(name, {256, columns}, wanted, false, 16).type;
  };
  EXPECT_EQ(type("output.weight", 2048, DType::Q4_K), DType::Q6_K);
  EXPECT_EQ(type("output.weight", 32, DType::Q4_K), DType::Q8_0);
  EXPECT_EQ(type("token_embd.weight", 2048, DType::Q4_K), DType::Q4_K);
  EXPECT_EQ(type("blk.0.attn_q.weight", 2048, DType::Q4_K), DType::Q4_K);
  // Layers 0, 1; 4, 7, 10, 13; 14, 15 of 16.
  for (int64_t layer = 0; layer < 16; ++layer) {
    const bool more = layer < 2 || layer >= 14 || layer % 3 == 1;
    EXPECT_EQ(type(fmt::format("blk.{}.ffn_down.weight", layer).c_str(), 256, DType::Q4_K),
              more ? DType::Q6_K : DType::Q4_K)
        << layer;
  }
  EXPECT_EQ(type("blk.1.attn_v.weight", 256, DType::Q3_K), DType::Q5_K);
  EXPECT_EQ(type("blk.2.attn_output.weight", 256, DType::Q3_K), DType::Q4_K);
  EXPECT_EQ(type("blk.2.attn_q.weight", 96, DType::Q4_K), DType::Q5_0);
  EXPECT_EQ(type("blk.2.attn_q.weight", 96, DType::Q5_K), DType::Q5_1);
  EXPECT_EQ(type("blk.2.attn_q.weight", 96, DType::Q6_K), DType::Q8_0);
  EXPECT_EQ(type("blk.2.attn_q.weight", 96, DType::IQ4_XS), DType::IQ4_NL);
  EXPECT_EQ(type("blk.2.attn_q.weight", 97, DType::Q4_K), DType::F16);
  EXPECT_EQ(choose_type("blk.2.ffn_up.weight", {2, 32}, DType::Q4_0, true, 4, {{"*.ffn_*", DType::Q5_1}}).type,
            DType::Q5_1);
  EXPECT_ERROR(parse_tensor_type("q6_k"), "is not PATTERN=TYPE");
  EXPECT_EQ(parse_tensor_type("*.ffn_down.weight=q6_k").type, DType::Q6_K);
}

TEST(Quantize, SameTypeIsTheSameFile) {
  for (const DType type : {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0}) {
    SCOPED_TRACE(type_name(type));
    const std::string in = tiny(type), out = scratch("same.gguf");
    const ConvertReport report = quantize(in, out, type);
    EXPECT_EQ(read_text_file(out), read_text_file(in));
    EXPECT_EQ(report.types.at(type).converted, 0);
    EXPECT_EQ(report.bytes_before, report.bytes_after);
  }
}

TEST(Quantize, ThroughF32IsTheDirectImport) {
  const std::string wide = tiny(DType::F32), out = scratch("direct.gguf");
  for (const DType type : {DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0}) {
    SCOPED_TRACE(type_name(type));
    const ConvertReport report = quantize(wide, out, type, 3);
    EXPECT_EQ(read_text_file(out), read_text_file(tiny(type)));
    EXPECT_LT(report.bytes_after, report.bytes_before);
  }
}

TEST(Quantize, ErrorsOfTheReportAreTheErrorsOfTheFile) {
  const std::string in = tiny(DType::F32), out = scratch("errors.gguf");
  const ConvertReport report = quantize(in, out, DType::Q4_0);
  const GgufFile before(in), after(out);
  double error = 0, norm = 0;
  int64_t count = 0;
  for (const TensorEntry& tensor : after.tensors()) {
    if (tensor.dtype != DType::Q4_0) continue;
    const std::vector<float> a = values(before.tensor(tensor.name)), b = values(tensor);
    for (size_t i = 0; i < a.size(); ++i) {
      error += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
      norm += double(a[i]) * a[i];
    }
    count += tensor.elements();
  }
  const TypeTotal& total = report.types.at(DType::Q4_0);
  EXPECT_EQ(total.converted, count);
  EXPECT_NEAR(total.rms_error(), std::sqrt(error / static_cast<double>(count)), 1e-12);
  EXPECT_NEAR(total.relative_error(), std::sqrt(error / norm), 1e-12);
  EXPECT_EQ(report.types.at(DType::Q8_0).tensors, 1) << "the tied embedding";
  EXPECT_EQ(report.notes.size(), 1u);
}

TEST(Quantize, QuantizingTwiceIsNoted) {
  const std::string in = tiny(DType::Q8_0), out = scratch("twice.gguf");
  const ConvertReport report = quantize(in, out, DType::Q4_0);
  ASSERT_EQ(report.notes.size(), 2u);
  EXPECT_NE(report.notes.back().find("21 of 30 tensors were quantized already"), std::string::npos)
      << report.notes.back();
  const ConvertReport back = quantize(in, scratch("back.gguf"), DType::F32);
  EXPECT_EQ(back.types.at(DType::F32).squared_error, 0);
  const GgufFile narrow(in), wide(scratch("back.gguf"));
  for (const TensorEntry& tensor : narrow.tensors()) EXPECT_EQ(values(tensor), values(wide.tensor(tensor.name)));
}

TEST(Quantize, FallsBackWhereBlocksDoNotFit) {
  const std::string in = make_gguf("odd.gguf", {{"a.weight", DType::F32, {5, 37}},
                                                {"b.weight", DType::F32, {3, 64}},
                                                {"c.weight", DType::F32, {3, 2, 32}},
                                                {"c.bias", DType::F32, {7}},
                                                {"empty.weight", DType::F32, {0, 32}},
                                                {"ids", DType::I32, {2, 3}}});
  const std::string out = scratch("odd-q4.gguf");
  const ConvertReport report = quantize(in, out, DType::Q4_0);
  EXPECT_EQ(report.fallbacks, 1);
  const GgufFile file(out);
  EXPECT_EQ(file.tensor("a.weight").dtype, DType::F16);
  EXPECT_EQ(file.tensor("b.weight").dtype, DType::Q4_0);
  EXPECT_EQ(file.tensor("c.weight").dtype, DType::Q4_0);
  EXPECT_EQ(file.tensor("c.bias").dtype, DType::F32);
  EXPECT_EQ(file.tensor("ids").dtype, DType::I32);
  EXPECT_EQ(file.u64("general.file_type"), 2u);
  EXPECT_EQ(file.integers("test.numbers"), (std::vector<int64_t>{1, -2, 3}));
  const std::vector<float> a = values(GgufFile(in).tensor("a.weight")), b = values(file.tensor("a.weight"));
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 2e-4);
}

TEST(Quantize, TypesWithoutConversionAreNamed) {
  const std::string in = make_gguf("k.gguf", {{"a.weight", DType::F32, {2, 256}}});
  const std::string out = scratch("k-out.gguf");
  fs::remove(out);  // of an earlier run
  EXPECT_ERROR(quantize(in, out, DType::F64), "models of type F64 cannot be written yet");
  EXPECT_ERROR(quantize(in, out, DType::I8), "models of type I8 cannot be written yet");
  EXPECT_FALSE(file_exists(out));
}

TEST(Quantize, RefusesToOverwriteItsInput) {
  const std::string in = tiny(DType::F16), link = scratch("link.gguf"), hard = scratch("hard.gguf");
  fs::remove(link);
  fs::remove(hard);
  fs::create_symlink(in, link);
  fs::create_hard_link(in, hard);
  for (const std::string& out : {in, link, hard}) EXPECT_ERROR(quantize(in, out, DType::Q8_0), "is the input itself");
  EXPECT_ERROR(quantize(in, scratch("no-folder/x.gguf"), DType::Q8_0), "there is no folder");
  EXPECT_ERROR(quantize(in, scratch("."), DType::Q8_0), "is a folder");
  fs::remove(hard);
}

TEST(Quantize, FailuresLeaveTheOldFile) {
  const std::string in = tiny(DType::F32), out = scratch("old.gguf"), cut = scratch("cut.gguf");
  write_text_file(out, "old");
  const std::string whole = read_text_file(in);
  write_text_file(cut, whole.substr(0, whole.size() - 100));
  EXPECT_ERROR(quantize(cut, out, DType::Q8_0), "cut.gguf");
  EXPECT_EQ(read_text_file(out), "old");
  set_interrupted(true);
  EXPECT_THROW(quantize(in, out, DType::Q8_0), Interrupted);
  set_interrupted(false);
  EXPECT_EQ(read_text_file(out), "old");
  for (const auto& entry : fs::directory_iterator(scratch(".")))
    EXPECT_EQ(entry.path().string().find("old.gguf.tmp"), std::string::npos) << entry.path();
}

}  // namespace
}  // namespace margay::test
