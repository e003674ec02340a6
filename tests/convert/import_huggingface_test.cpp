#include "convert/import_huggingface.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "convert/quantize.h"
#include "convert/source.h"
#include "convert/target_type.h"
#include "formats/checkpoint.h"
#include "formats/tokenizer.h"
#include "models/config.h"
#include "models/rope_permutation.h"
#include "tests/convert/convert_data.h"
#include "tests/formats/made_pytorch.h"

namespace margay::test {
namespace {

const std::string kTiny = data("hf/tiny-llama3");

ConvertReport import_tiny(const std::string& out, DType type, int threads = 2) {
  const Quiet quiet;
  return import_huggingface(kTiny, out, type, threads);
}

TEST(RopePermutation, IsGgufsOrderAndItsInverse) {
  // One head of 6: pairs (0, 3), (1, 4), (2, 5) become neighbours.
  const int64_t expected[] = {0, 3, 1, 4, 2, 5};
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(half_split_row(i, 6), expected[i]);
  for (int64_t i = 0; i < 48; ++i) {
    EXPECT_EQ(interleaved_row(half_split_row(i, 16), 16), i);
    EXPECT_EQ(half_split_row(i, 16) / 16, i / 16) << "rows stay within their head";
  }
  const int rows[] = {0, 1, 10, 11, 20, 21, 30, 31};
  int moved[8], columns[8];
  interleave_rows(rows, moved, 4, 2, 4);
  EXPECT_EQ(std::vector<int>(moved, moved + 8), (std::vector<int>{0, 1, 20, 21, 10, 11, 30, 31}));
  interleave_columns(rows, columns, 2, 4);
  EXPECT_EQ(std::vector<int>(columns, columns + 8), (std::vector<int>{0, 10, 1, 11, 20, 30, 21, 31}));
}

TEST(ImportHuggingFace, ConfigurationAndMetadata) {
  const std::string out = scratch("import-config.gguf");
  import_tiny(out, DType::BF16);
  const GgufFile file(out);
  EXPECT_EQ(file.metadata().front().key, "general.architecture");
  EXPECT_EQ(file.string("general.architecture"), "llama");
  EXPECT_EQ(file.string("general.name"), "tiny-llama3");
  EXPECT_EQ(file.u64("general.file_type"), 32u);
  const ModelConfig config = read_model_config(file);
  EXPECT_EQ(config.layers, 3);
  EXPECT_EQ(config.width, 128);
  EXPECT_EQ(config.feed_forward, 384);
  EXPECT_EQ(config.vocabulary, 1024);
  EXPECT_EQ(config.context, 2048);
  EXPECT_EQ(config.heads, 8);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.rope_dimensions, 16);
  EXPECT_EQ(config.rope_base, 500000.0);
  EXPECT_FLOAT_EQ(config.norm_epsilon, 1e-5f);
  EXPECT_FALSE(read_linear_config(file, config).any());
  EXPECT_EQ(file.find("output.weight"), nullptr) << "tied";
}

TEST(ImportHuggingFace, RopeFactorsAreLlama31s) {
  const std::string out = scratch("import-rope.gguf");
  import_tiny(out, DType::F16);
  const GgufFile file(out);
  const std::vector<float> factors = to_float(file.tensor("rope_freqs.weight"));
  ASSERT_EQ(factors.size(), 8u);
  // theta 500000, 64 tokens, factor 8, low 1, high 4: wavelengths 6.3, 32.4, 167, ... tokens; 16 and 64 are the limits.
  EXPECT_EQ(factors[0], 1.0f);
  const double wavelength = 2 * M_PI * std::pow(500000.0, 1.0 / 8), smooth = (64 / wavelength - 1) / 3;
  EXPECT_FLOAT_EQ(factors[1], static_cast<float>(1 / ((1 - smooth) / 8 + smooth)));
  for (size_t i = 2; i < 8; ++i) EXPECT_EQ(factors[i], 8.0f) << i;
}

// Every tensor, un-permuted, against the source.
void expect_weights(const std::string& out, DType type, double tolerance) {
  const GgufFile file(out);
  const Checkpoint source(kTiny);
  const auto same = [&](const std::string& target, const std::string& name, int64_t head_dim) {
    const TensorEntry& got = file.tensor(target);
    const TensorEntry& want = source.tensor(name);
    ASSERT_EQ(got.shape, want.shape) << target;
    EXPECT_EQ(got.dtype, choose_type(target, got.shape, type, {true}).type) << target;
    const std::vector<float> a = values(got), b = to_float(want);
    const int64_t columns = want.shape.back(), rows = want.elements() / columns;
    double error = 0, norm = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t from = head_dim ? half_split_row(r, head_dim) : r;
      for (int64_t c = 0; c < columns; ++c) {
        const double x = a[static_cast<size_t>(r * columns + c)], y = b[static_cast<size_t>(from * columns + c)];
        error += (x - y) * (x - y);
        norm += y * y;
      }
    }
    EXPECT_LE(std::sqrt(error / norm), want.shape.size() == 1 ? 0 : tolerance) << target;
  };
  same("token_embd.weight", "model.embed_tokens.weight", 0);
  same("output_norm.weight", "model.norm.weight", 0);
  for (int l = 0; l < 3; ++l) {
    const std::string s = fmt::format("model.layers.{}.", l), t = fmt::format("blk.{}.", l);
    same(t + "attn_norm.weight", s + "input_layernorm.weight", 0);
    same(t + "attn_q.weight", s + "self_attn.q_proj.weight", 16);
    same(t + "attn_k.weight", s + "self_attn.k_proj.weight", 16);
    same(t + "attn_v.weight", s + "self_attn.v_proj.weight", 0);
    same(t + "attn_output.weight", s + "self_attn.o_proj.weight", 0);
    same(t + "ffn_norm.weight", s + "post_attention_layernorm.weight", 0);
    same(t + "ffn_gate.weight", s + "mlp.gate_proj.weight", 0);
    same(t + "ffn_up.weight", s + "mlp.up_proj.weight", 0);
    same(t + "ffn_down.weight", s + "mlp.down_proj.weight", 0);
  }
}

TEST(ImportHuggingFace, WeightsOfEveryType) {
  const struct {
    DType type;
    double tolerance;
  } cases[] = {{DType::F32, 0}, {DType::BF16, 0}, {DType::F16, 1e-4}, {DType::Q8_0, 0.01}, {DType::Q4_0, 0.12}};
  for (const auto& row : cases) {
    SCOPED_TRACE(type_name(row.type));
    const std::string out = scratch("import-weights.gguf");
    const ConvertReport report = import_tiny(out, row.type);
    expect_weights(out, row.type, row.tolerance);
    EXPECT_EQ(report.tensors, 30);
    EXPECT_EQ(report.fallbacks, 0);
    EXPECT_EQ(report.notes.size(), row.type == DType::Q4_0 ? 1u : 0u);
    EXPECT_LE(report.types.at(row.type).relative_error(), row.tolerance);
    EXPECT_EQ(GgufFile(out).u64("general.file_type"), *gguf_file_type(row.type));
  }
}

TEST(ImportHuggingFace, DoesNotDependOnThreads) {
  const std::string one = scratch("import-1.gguf"), three = scratch("import-3.gguf");
  const ConvertReport a = import_tiny(one, DType::Q4_0, 1), b = import_tiny(three, DType::Q4_0, 3);
  EXPECT_EQ(read_text_file(one), read_text_file(three));
  EXPECT_EQ(a.types.at(DType::Q4_0).squared_error, b.types.at(DType::Q4_0).squared_error);
}

TEST(ImportHuggingFace, TokenizerSurvives) {
  const std::string out = scratch("import-tokenizer.gguf");
  import_tiny(out, DType::BF16);
  const Tokenizer source = Tokenizer::from_huggingface(kTiny), copy = Tokenizer::from_gguf(GgufFile(out));
  for (const char* text :
       {"Call me Ishmael.", "  two  spaces\n\nand <|eot_id|> 12345", "naïve — 日本語 🦊", ""})
    EXPECT_EQ(copy.encode(text, true), source.encode(text, true)) << text;
  EXPECT_EQ(copy.bos(), source.bos());
  EXPECT_EQ(copy.eos(), source.eos());
  EXPECT_EQ(copy.chat_template(), source.chat_template());
  EXPECT_FALSE(copy.chat_template().empty());
}

TEST(ImportHuggingFace, MissingFilesAreNamed) {
  const Quiet quiet;
  const std::string out = scratch("import-missing.gguf");
  EXPECT_ERROR(import_huggingface(scratch("nowhere"), out, DType::F16, 1), "does not exist");
  const std::string folder = tiny_llama_copy("missing");
  std::filesystem::remove(folder + "/tokenizer.json");
  std::filesystem::remove(folder + "/model.safetensors");
  EXPECT_ERROR(import_huggingface(folder, out, DType::F16, 1), "lacks model.safetensors, tokenizer.json");
  write_text_file(folder + "/model.safetensors.index.json",
                  R"({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}})");
  std::filesystem::copy(kTiny + "/tokenizer.json", folder + "/tokenizer.json");
  EXPECT_ERROR(import_huggingface(folder, out, DType::F16, 1), "model-00001-of-00002.safetensors");
  EXPECT_FALSE(file_exists(out));
}

// Writes the tiny model's weights anew after `change`, as float32.
void rewrite(const std::string& folder, const std::function<void(std::vector<TensorEntry>&)>& change) {
  const Checkpoint source(kTiny);
  std::vector<TensorEntry> tensors = source.tensors();
  change(tensors);
  write_safetensors(folder + "/model.safetensors", tensors);
}

TEST(ImportHuggingFace, DamagedWeightsAreErrors) {
  const Quiet quiet;
  const std::string folder = tiny_llama_copy("damaged"), out = scratch("import-damaged.gguf");
  const auto import = [&] { import_huggingface(folder, out, DType::Q8_0, 2); };
  rewrite(folder, [](auto& tensors) { tensors.pop_back(); });
  EXPECT_ERROR(import(), "has no tensor model.norm.weight");
  rewrite(folder, [](auto& tensors) { std::swap(tensors[3].shape[0], tensors[3].shape[1]); });
  EXPECT_ERROR(import(), "has shape [128, 384], config.json asks for [384, 128]");
  rewrite(folder, [](auto& tensors) { tensors[5].name += "_scale"; });
  EXPECT_ERROR(import(), "has no tensor model.layers.0.post_attention_layernorm.weight");
  rewrite(folder, [](auto& tensors) {
    tensors.push_back(tensors[5]);
    tensors.back().name = "model.layers.0.self_attn.q_proj.bias";
  });
  EXPECT_ERROR(import(), "model.layers.0.self_attn.q_proj.bias is not part of a llama model");
  rewrite(folder, [](auto& tensors) {
    tensors.push_back(tensors[5]);
    tensors.back().name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  });
  EXPECT_NO_THROW(import());
  std::filesystem::remove(out);
  uint16_t broken[128 * 384] = {};
  broken[128 * 5 + 7] = 0x7fc0;  // NaN
  rewrite(folder, [&](auto& tensors) { tensors[3].data = reinterpret_cast<const std::byte*>(broken); });
  EXPECT_ERROR(import(), "the source is damaged");
  broken[128 * 5 + 7] = 0x4f80;  // 2^32
  rewrite(folder, [&](auto& tensors) { tensors[3].data = reinterpret_cast<const std::byte*>(broken); });
  EXPECT_ERROR(import_huggingface(folder, out, DType::F16, 2), "which F16 cannot hold");
  EXPECT_FALSE(file_exists(out)) << "nothing is left behind";
  const std::string whole = read_text_file(kTiny + "/model.safetensors");
  write_text_file(folder + "/model.safetensors", whole.substr(0, whole.size() / 2));
  EXPECT_ERROR(import(), "truncated");
}

TEST(ImportHuggingFace, ConfigurationsThatAreNotThereAreNamed) {
  const Quiet quiet;
  const std::string folder = tiny_llama_copy("config"), out = scratch("import-refused.gguf");
  const nlohmann::json original = nlohmann::json::parse(read_text_file(kTiny + "/config.json"));
  const auto with = [&](const char* path, const nlohmann::json& value) {
    nlohmann::json changed = original;
    changed[nlohmann::json::json_pointer(path)] = value;
    write_text_file(folder + "/config.json", changed.dump());
    import_huggingface(folder, out, DType::F16, 1);
  };
  EXPECT_ERROR(with("/model_type", "mixtral"), "config.json: model type 'mixtral' is not supported; there are llama");
  EXPECT_ERROR(with("/architectures/0", "LlamaForSequenceClassification"), "LlamaForSequenceClassification");
  EXPECT_ERROR(with("/hidden_act", "gelu"), "'gelu'");
  EXPECT_ERROR(with("/attention_bias", true), "has no tensor model.layers.0.self_attn.q_proj.bias");
  EXPECT_ERROR(with("/rope_parameters/rope_type", "proportional"), "RoPE scaling 'proportional' is not supported");
  EXPECT_ERROR(with("/rope_parameters/partial_rotary_factor", 0.5), "rotating a part of each head");
  EXPECT_ERROR(with("/num_local_experts", 8), "mixtures of experts are not supported");
  EXPECT_ERROR(with("/rope_parameters/original_max_position_embeddings", nullptr), "original_max_position_embeddings");
  EXPECT_ERROR(with("/quantization_config", {{"quant_method", "gptq"}}), "gptq");
  EXPECT_ERROR(with("/num_hidden_layers", 1000000000), "num_hidden_layers");
  EXPECT_ERROR(with("/num_key_value_heads", 3), "num_key_value_heads");
  EXPECT_ERROR(with("/num_key_value_heads", 4), "k_proj.weight has shape [32, 128], config.json asks for [64, 128]");
  EXPECT_ERROR(with("/tie_word_embeddings", false), "lm_head.weight");
  EXPECT_FALSE(file_exists(out));
}

TEST(ImportHuggingFace, OlderConfigurationFormGivesTheSameFile) {
  const Quiet quiet;
  const std::string folder = tiny_llama_copy("older/tiny-llama3"), out = scratch("older.gguf"),
                    now = scratch("now.gguf");
  nlohmann::json config = nlohmann::json::parse(read_text_file(kTiny + "/config.json"));
  nlohmann::json rope = config["rope_parameters"];
  config["rope_theta"] = rope["rope_theta"];
  rope.erase("rope_theta");
  config["rope_scaling"] = rope;
  config["torch_dtype"] = config["dtype"];
  for (const char* key : {"rope_parameters", "dtype", "head_dim", "architectures"}) config.erase(key);
  write_text_file(folder + "/config.json", config.dump());
  import_huggingface(folder, out, DType::BF16, 1);
  import_tiny(now, DType::BF16);
  EXPECT_EQ(read_text_file(out), read_text_file(now));
}

TEST(ImportHuggingFace, ShardsGiveTheSameFile) {
  const Quiet quiet;
  const std::string folder = tiny_llama_copy("sharded/tiny-llama3"), out = scratch("sharded.gguf");
  std::filesystem::remove(folder + "/model.safetensors");
  const Checkpoint source(kTiny);
  const auto& all = source.tensors();
  nlohmann::json map;
  const std::string names[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  for (size_t i = 0; i < all.size(); ++i) map[all[i].name] = names[i >= 11];
  write_safetensors(folder + "/" + names[0], {all.data(), 11});
  write_safetensors(folder + "/" + names[1], {all.data() + 11, all.size() - 11});
  write_text_file(folder + "/model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  import_huggingface(folder, out, DType::Q8_0, 1);
  const std::string whole = scratch("whole.gguf");
  import_tiny(whole, DType::Q8_0);
  EXPECT_EQ(read_text_file(out), read_text_file(whole));
  std::filesystem::remove(folder + "/" + names[1]);
  EXPECT_ERROR(import_huggingface(folder, out, DType::Q8_0, 1), names[1]);
}

TEST(ImportHuggingFace, PyTorchWeightsGiveTheSameFile) {
  const Quiet quiet;
  const std::string folder = tiny_llama_copy("pytorch/tiny-llama3"), out = scratch("pytorch.gguf");
  std::filesystem::remove(folder + "/model.safetensors");
  MadePickle pickle;
  pickle.op("}(");
  std::vector<std::string> storages;
  const Checkpoint source(kTiny);
  for (const TensorEntry& tensor : source.tensors()) {
    ASSERT_EQ(tensor.dtype, DType::BF16);
    std::vector<int64_t> strides(tensor.shape.size(), 1);
    if (strides.size() == 2) strides[0] = tensor.shape[1];
    pickle.text(tensor.name)
        .tensor("BFloat16", std::to_string(storages.size()), tensor.elements(), 0, tensor.shape, strides);
    storages.emplace_back(reinterpret_cast<const char*>(tensor.data), tensor.bytes);
  }
  write_text_file(folder + "/pytorch_model.bin", made_zip(torch_members(pickle.op("u").done(), storages)));
  import_huggingface(folder, out, DType::Q8_0, 1);
  const std::string whole = scratch("whole-pytorch.gguf");
  import_tiny(whole, DType::Q8_0);
  EXPECT_EQ(read_text_file(out), read_text_file(whole));
}

TEST(ImportHuggingFace, FloatsOfEightBits) {
  const Quiet quiet;
  const std::string folder = tiny_llama_copy("f8"), out = scratch("f8.gguf");
  const std::vector<uint8_t> ones(128 * 384, 0xb8);
  rewrite(folder, [&](auto& tensors) {
    tensors[3].dtype = DType::F8_E4M3;
    tensors[3].data = reinterpret_cast<const std::byte*>(ones.data());
    tensors[3].bytes = ones.size();
  });
  import_huggingface(folder, out, DType::F16, 2);
  const GgufFile file(out);
  EXPECT_EQ(values(file.tensor("blk.0.ffn_gate.weight")), std::vector<float>(128 * 384, -1));
}

TEST(Source, IsRecognizedOrRefusedByName) {
  EXPECT_EQ(detect_source(kTiny), SourceKind::kHuggingFace);
  EXPECT_EQ(detect_source(kTiny + "/model.safetensors"), SourceKind::kSafetensors);
  EXPECT_ERROR(detect_source(scratch("none/at/all")), "nor does the folder");
  EXPECT_ERROR(detect_source(scratch("none.gguf")), "nothing is downloaded");
  write_text_file(scratch("weights.pt"), "PK");
  EXPECT_ERROR(detect_source(scratch("weights.pt")), "is no GGUF, .safetensors, PyTorch");
  write_text_file(scratch("weights.pt"), made_zip({}));
  EXPECT_EQ(detect_source(scratch("weights.pt")), SourceKind::kPyTorch);
  write_text_file(scratch("no.gguf"), "GGML");
  EXPECT_ERROR(detect_source(scratch("no.gguf")), "not a GGUF file");
  EXPECT_EQ(default_type(kTiny), DType::BF16);
  EXPECT_ERROR(convert_model(kTiny + "/model.safetensors", scratch("x.gguf"), DType::F32, 1), "whole model folder");
}

}  // namespace
}  // namespace margay::test
