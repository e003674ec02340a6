#include "convert/gguf_edit.h"

#include "convert/import_huggingface.h"
#include "convert/quantize.h"
#include "models/model.h"
#include "tests/convert/convert_data.h"

namespace margay::test {
namespace {

std::string tiny_base(DType type) {
  const Quiet quiet;
  const std::string path = scratch(fmt::format("edit-base-{}.gguf", type_name(type)));
  import_huggingface(data("hf/tiny-llama3"), path, type, 1);
  return path;
}

// The weights of a linearization of tiny-llama3, layer 1 kept softmax.
struct Linearization {
  std::vector<float> map = std::vector<float>(8 * 16 * 16), factor = std::vector<float>(8), wq;
  ModelEdit edit;

  explicit Linearization(const GgufFile& base) {
    for (size_t i = 0; i < map.size(); ++i) map[i] = 0.001f * static_cast<float>(i);
    for (size_t i = 0; i < factor.size(); ++i) factor[i] = -2 + static_cast<float>(i);
    edit.config = read_model_config(base);
    edit.linear.layers = {true, false, true};
    edit.linear.feature_dim = 16;
    edit.linear.key_map_heads = 8;
    wq = values(base.tensor("blk.0.attn_q.weight"));
    wq[5] += 1;
    for (const int l : {0, 2}) {
      const WeightRef maps{make_shape({8, 16, 16}), DType::F32, map.data()};
      edit.tensors[block_name(l, "attn_fmap_q.weight")] = {maps, DType::F32};
      edit.tensors[block_name(l, "attn_fmap_k.weight")] = {maps, DType::F32};
      edit.tensors[block_name(l, "attn_window_factor")] = {{make_shape({8}), DType::F32, factor.data()}, DType::F32};
    }
    edit.tensors["blk.0.attn_q.weight"] = {{make_shape({128, 128}), DType::F32, wq.data()}, DType::Q8_0};
    edit.metadata.emplace_back("margay.provenance.recipe", GgufValue::of("attention transfer"));
    edit.metadata.emplace_back("general.name", GgufValue::of("tiny, linearized"));
  }
};

TEST(GgufEdit, WritesALinearizedModel) {
  const Quiet quiet;
  const GgufFile base(tiny_base(DType::BF16));
  const Linearization made(base);
  const std::string out = scratch("edit-linear.gguf");
  const ConvertReport report = write_model(out, base, made.edit, 2);
  EXPECT_EQ(report.tensors, 36);
  EXPECT_EQ(report.type.type, DType::BF16);

  const Model model(out);
  EXPECT_EQ(model.file.string("general.architecture"), "llama-linear");
  EXPECT_EQ(model.file.string("general.name"), "tiny, linearized");
  EXPECT_EQ(model.file.string("margay.provenance.recipe"), "attention transfer");
  for (const GgufMetadata& entry : model.file.metadata()) EXPECT_FALSE(entry.key.starts_with("llama.")) << entry.key;
  EXPECT_EQ(model.config.heads, 8);
  EXPECT_EQ(model.linear.layers, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(model.linear.feature_dim, 16);
  EXPECT_EQ(values(model.file.tensor("blk.2.attn_fmap_k.weight")), made.map);
  EXPECT_EQ(values(model.file.tensor("blk.0.attn_window_factor")), made.factor);
  EXPECT_EQ(model.file.tensor("blk.0.attn_q.weight").dtype, DType::Q8_0);
  EXPECT_NEAR(values(model.file.tensor("blk.0.attn_q.weight"))[5], made.wq[5], 0.01);
  for (const TensorEntry& tensor : base.tensors()) {
    if (tensor.name == "blk.0.attn_q.weight") continue;
    const TensorEntry& copy = model.file.tensor(tensor.name);
    ASSERT_EQ(copy.dtype, tensor.dtype);
    EXPECT_EQ(std::memcmp(copy.data, tensor.data, tensor.bytes), 0) << tensor.name;
  }
}

TEST(GgufEdit, LinearizedModelsAreQuantizedWithFloatMaps) {
  const Quiet quiet;
  const GgufFile base(tiny_base(DType::F32));
  const Linearization made(base);
  const std::string linear = scratch("edit-linear32.gguf"), out = scratch("edit-linear-q4.gguf");
  write_model(linear, base, made.edit, 1);
  quantize_gguf(linear, out, DType::Q4_0, 2);
  const Model model(out);
  EXPECT_TRUE(model.linear.any());
  EXPECT_EQ(values(model.file.tensor("blk.0.attn_fmap_q.weight")), made.map);
  EXPECT_EQ(model.file.tensor("blk.0.attn_fmap_q.weight").dtype, DType::F32);
  EXPECT_EQ(model.file.tensor("blk.1.ffn_up.weight").dtype, DType::Q4_0);
}

TEST(GgufEdit, AnOlderLinearizationsKeysGo) {
  const Quiet quiet;
  const GgufFile base(tiny_base(DType::BF16));
  Linearization made(base);
  const std::string linear = scratch("edit-a.gguf"), again = scratch("edit-b.gguf"), softmax = scratch("edit-c.gguf");
  write_model(linear, base, made.edit, 1);
  const GgufFile first(linear);
  made.edit.linear.window = 32;
  write_model(again, first, made.edit, 1);
  EXPECT_EQ(Model(again).linear.window, 32);
  ModelEdit plain;
  plain.config = made.edit.config;
  write_model(softmax, first, plain, 1);
  const Model model(softmax);
  EXPECT_EQ(model.file.string("general.architecture"), "llama");
  EXPECT_FALSE(model.linear.any());
  for (const GgufMetadata& entry : model.file.metadata())
    EXPECT_EQ(entry.key.find("linear"), std::string_view::npos) << entry.key;
}

TEST(GgufEdit, RefusesToOverwriteItsBase) {
  const Quiet quiet;
  const std::string path = tiny_base(DType::BF16);
  const GgufFile base(path);
  EXPECT_ERROR(write_model(path, base, Linearization(base).edit, 1), "is the input itself");
}

}  // namespace
}  // namespace margay::test
