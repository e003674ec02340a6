#include "convert/quantize.h"

#include <algorithm>
#include <cmath>

#include "base/interrupt.h"
#include "base/memory.h"
#include "convert/import_huggingface.h"
#include "convert/target_type.h"
#include "tests/convert/convert_data.h"
#include "tests/peak_growth.h"

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

ConvertReport quantize(const std::string& in, const std::string& out, const TargetOptions& options, int threads = 2) {
  const Quiet quiet;
  return quantize_gguf(in, out, options, threads);
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
  const auto expect = [](const char* name, DType type, Mix mix, uint32_t file_type) {
    const ModelType found = target_type(name);
    EXPECT_EQ(found.type, type) << name;
    EXPECT_EQ(found.mix, mix) << name;
    EXPECT_EQ(found.file_type, file_type) << name;
  };
  expect("q8_0", DType::Q8_0, Mix::kPlain, 7);
  expect("bF16", DType::BF16, Mix::kPlain, 32);
  expect("q4_k_m", DType::Q4_K, Mix::kMedium, 15);
  expect("Q4_K", DType::Q4_K, Mix::kMedium, 15);
  expect("q4_k_s", DType::Q4_K, Mix::kSmall, 14);
  expect("Q3_K_L", DType::Q3_K, Mix::kLarge, 13);
  expect("iq4_xs", DType::IQ4_XS, Mix::kPlain, 30);
  EXPECT_EQ(ModelType(DType::Q5_K).name, std::string("Q5_K_M"));
  EXPECT_ERROR(target_type("q4_k_l"), "is not known; there are F32, F16, BF16, Q8_0, Q4_0");
  EXPECT_ERROR(target_type("float"), "is not known");
  EXPECT_ERROR(target_type("i32"), "cannot be written");
}

TEST(TargetType, SmallTensorsStayFloat) {
  const auto type = [](const char* name, const std::vector<int64_t>& shape, DType wanted, bool tied) {
    return choose_type(name, shape, wanted, {tied}).type;
  };
  EXPECT_EQ(type("blk.0.attn_q.weight", {128, 128}, DType::Q4_0, true), DType::Q4_0);
  EXPECT_EQ(type("blk.0.attn_norm.weight", {128}, DType::Q4_0, true), DType::F32);
  EXPECT_EQ(type("blk.0.attn_fmap_q.weight", {8, 64, 64}, DType::Q4_0, true), DType::F32);
  EXPECT_EQ(type("blk.0.attn_window_factor", {8}, DType::F16, true), DType::F32);
  EXPECT_EQ(type("rope_freqs.weight", {32}, DType::F16, true), DType::F32);
  EXPECT_TRUE(choose_type("blk.0.attn_q.weight", {128, 37}, DType::Q4_0, {}).fallback);
}

TEST(TargetType, TheHeadHasMoreBits) {
  const auto type = [](const char* name, int64_t columns, DType wanted, bool tied) {
    return choose_type(name, {1024, columns}, wanted, {tied}).type;
  };
  for (const DType wanted : {DType::Q4_0, DType::Q4_K, DType::Q2_K, DType::IQ4_XS, DType::Q6_K}) {
    EXPECT_EQ(type("token_embd.weight", 2048, wanted, true), DType::Q6_K);
    EXPECT_EQ(type("token_embd.weight", 2048, wanted, false), wanted);
    EXPECT_EQ(type("output.weight", 2048, wanted, false), DType::Q6_K);
    EXPECT_EQ(type("output.weight", 128, wanted, false), DType::Q8_0);
  }
  EXPECT_EQ(type("output.weight", 2048, DType::Q8_0, false), DType::Q8_0);
  EXPECT_EQ(type("output.weight", 2048, DType::BF16, false), DType::BF16);
}

// llama.cpp's rules (its llama_tensor_get_type), worked out by hand for 16 layers.
TEST(TargetType, Mixes) {
  struct Case {
    const char* mix;
    const char* tensor;
    std::vector<int64_t> layers;  // that have `type`; the others have `rest`
    DType type, rest;
  };
  const std::vector<int64_t> none, more = {0, 1, 4, 7, 10, 13, 14, 15}, two = {0, 1}, four = {0, 1, 2, 3}, one = {0},
                                   all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const std::vector<Case> cases = {
      {"q2_k", "attn_v", all, DType::Q4_K, DType::Q4_K},
      {"q2_k", "ffn_down", all, DType::Q3_K, DType::Q3_K},
      {"q2_k", "attn_output", all, DType::Q3_K, DType::Q3_K},
      {"q2_k", "attn_q", all, DType::Q2_K, DType::Q2_K},
      {"q3_k_s", "attn_v", none, DType::Q4_K, DType::Q3_K},
      {"q3_k_s", "ffn_down", none, DType::Q4_K, DType::Q3_K},
      {"q3_k_s", "attn_output", all, DType::Q3_K, DType::Q3_K},
      {"q3_k_m", "attn_v", two, DType::Q5_K, DType::Q4_K},
      {"q3_k_m", "ffn_down", one, DType::Q5_K, DType::Q4_K},
      {"q3_k_m", "attn_output", all, DType::Q4_K, DType::Q4_K},
      {"q3_k_l", "attn_v", all, DType::Q5_K, DType::Q5_K},
      {"q3_k_l", "ffn_down", all, DType::Q5_K, DType::Q5_K},
      {"q3_k_l", "attn_output", all, DType::Q5_K, DType::Q5_K},
      {"q3_k_l", "ffn_up", all, DType::Q3_K, DType::Q3_K},
      {"q4_k_s", "attn_v", four, DType::Q5_K, DType::Q4_K},
      {"q4_k_s", "ffn_down", two, DType::Q5_K, DType::Q4_K},
      {"q4_k_m", "attn_v", more, DType::Q6_K, DType::Q4_K},
      {"q4_k_m", "ffn_down", more, DType::Q6_K, DType::Q4_K},
      {"q4_k_m", "attn_output", all, DType::Q4_K, DType::Q4_K},
      {"q5_k_s", "attn_v", none, DType::Q6_K, DType::Q5_K},
      {"q5_k_s", "ffn_down", none, DType::Q6_K, DType::Q5_K},
      {"q5_k_m", "attn_v", more, DType::Q6_K, DType::Q5_K},
      {"q5_k_m", "attn_qkv", more, DType::Q6_K, DType::Q5_K},
      {"q6_k", "ffn_down", all, DType::Q6_K, DType::Q6_K},
      {"iq4_xs", "attn_v", all, DType::Q5_K, DType::Q5_K},
      {"iq4_xs", "ffn_down", two, DType::Q5_K, DType::IQ4_XS},
      {"iq4_nl", "ffn_down", two, DType::Q5_K, DType::IQ4_NL},
      {"q4_0", "ffn_down", all, DType::Q4_0, DType::Q4_0},
  };
  for (const Case& row : cases)
    for (int64_t layer = 0; layer < 16; ++layer) {
      const bool listed = std::find(row.layers.begin(), row.layers.end(), layer) != row.layers.end();
      const std::string name = fmt::format("blk.{}.{}.weight", layer, row.tensor);
      EXPECT_EQ(choose_type(name, {256, 2048}, target_type(row.mix), {false, 16, 4}).type, listed ? row.type : row.rest)
          << row.mix << " " << name;
    }
  const auto down = [](const char* mix) {
    return choose_type("blk.0.ffn_down.weight", {256, 2048}, target_type(mix), {false, 16, 4, true}).type;
  };
  EXPECT_EQ(down("q4_0"), DType::Q4_1) << "with an importance matrix";
  EXPECT_EQ(down("q5_0"), DType::Q5_1);
  EXPECT_EQ(down("iq4_xs"), DType::IQ4_XS);
  const auto value = [](const char* mix, int64_t layers, int64_t heads_per_kv) {
    return choose_type("blk.5.attn_v.weight", {256, 2048}, target_type(mix), {false, layers, heads_per_kv}).type;
  };
  EXPECT_EQ(value("q2_k", 32, 1), DType::Q3_K);
  EXPECT_EQ(value("iq4_xs", 32, 1), DType::IQ4_XS);
  EXPECT_EQ(value("q4_k_s", 80, 8), DType::Q5_K) << "Llama 70B";
}

TEST(TargetType, Fallbacks) {
  const auto type = [](int64_t columns, DType wanted) {
    return choose_type("blk.2.attn_q.weight", {256, columns}, wanted, {false, 16}).type;
  };
  EXPECT_EQ(type(96, DType::Q4_K), DType::Q5_0);
  EXPECT_EQ(type(96, DType::Q5_K), DType::Q5_1);
  EXPECT_EQ(type(96, DType::Q6_K), DType::Q8_0);
  EXPECT_EQ(type(96, DType::IQ4_XS), DType::IQ4_NL);
  EXPECT_EQ(type(96, DType::Q2_K), DType::IQ4_NL);
  EXPECT_EQ(type(96, DType::Q3_K), DType::IQ4_NL);
  EXPECT_EQ(type(97, DType::Q4_K), DType::F16);
  EXPECT_EQ(type(97, DType::Q8_0), DType::F16);
  EXPECT_EQ(choose_type("blk.2.ffn_up.weight", {2, 32}, DType::Q4_0, {true, 4}, {{"*.ffn_*", DType::Q5_1}}).type,
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

TEST(Quantize, ErrorsOfEveryTensorAddUpToThoseOfItsType) {
  const std::string in = tiny(DType::F32), out = scratch("rows.gguf");
  const ConvertReport report = quantize(in, out, target_type("q4_k_m"));
  const GgufFile file(out);
  ASSERT_EQ(report.rows.size(), file.tensors().size());
  std::map<DType, double> sums;
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const TensorTotal& row = report.rows[i];
    EXPECT_EQ(row.name, file.tensors()[i].name);
    EXPECT_EQ(row.to, file.tensors()[i].dtype);
    EXPECT_EQ(row.total.bytes, file.tensors()[i].bytes);
    EXPECT_EQ(row.total.relative_error() > 0, row.from != row.to) << row.name;
    sums[row.to] += row.total.squared_error;
  }
  for (const auto& [type, total] : report.types) EXPECT_DOUBLE_EQ(sums[type], total.squared_error) << type_name(type);
}

TEST(Quantize, WeighsByAnImportanceMatrix) {
  const std::string in = tiny(DType::F32), plain = scratch("plain.gguf"), weighed = scratch("weighed.gguf");
  const std::string name = "blk.1.ffn_up.weight";  // not the first eighth's ffn_down, which would become Q4_1
  ImportanceMatrix matrix;
  matrix.origin = "some.dat";
  matrix.datasets = {"text.txt"};
  matrix.chunks = 7;
  std::vector<double>& sums = matrix.entries[name].sums;
  matrix.entries[name].counts = {10};
  for (int i = 0; i < 128; ++i) sums.push_back(i % 16 == 3 ? 1000 : 1);
  TargetOptions options(DType::Q4_0);
  options.importance = &matrix;
  quantize(in, plain, DType::Q4_0);
  const ConvertReport report = quantize(in, weighed, options);
  const GgufFile source(in), a(plain), b(weighed);
  const auto error = [&](const GgufFile& file) {
    const std::vector<float> x = values(source.tensor(name)), y = values(file.tensor(name));
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += sums[i % 128] * std::pow(double(x[i]) - y[i], 2);
    return sum;
  };
  EXPECT_LT(error(b), 0.5 * error(a));
  EXPECT_EQ(values(a.tensor("blk.1.attn_q.weight")), values(b.tensor("blk.1.attn_q.weight"))) << "not in the matrix";
  EXPECT_EQ(b.string("quantize.imatrix.file"), "some.dat");
  EXPECT_EQ(b.string("quantize.imatrix.dataset"), "text.txt");
  EXPECT_EQ(b.u64("quantize.imatrix.chunks_count"), 7u);
  EXPECT_NE(report.notes.back().find("not in the importance matrix"), std::string::npos) << report.notes.back();
  sums.pop_back();
  EXPECT_ERROR(quantize(in, weighed, options), "blk.1.ffn_up.weight has 127 columns in the importance matrix, 128 in");
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

// Pages of the source go as they have been written: the peak is far below its 128 MiB.
TEST(Quantize, MemoryDoesNotGrowWithTheModel) {
  const std::string in =
      make_gguf("large.gguf", {{"a.weight", DType::F32, {8192, 2048}}, {"b.weight", DType::F32, {8192, 2048}}});
  if (!reset_peak_resident()) GTEST_SKIP() << "the system does not count the peak anew";
  const test::PeakGrowth growth;
  quantize(in, scratch("large-q8.gguf"), DType::Q8_0);
  growth.expect_below(64);
  fs::remove(in);
  fs::remove(scratch("large-q8.gguf"));
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
