// Every architecture: transformers' logits, one answer however a text is cut, linearized layer by layer, and files as
// other programs write them.
#include <fstream>
#include <set>

#include "base/random.h"
#include "convert/huggingface_models.h"
#include "convert/linearize.h"
#include "convert/quantize.h"
#include "tests/convert/tiny_checkpoints.h"

namespace margay::test {
namespace {

TinyCheckpoint checkpoint_named(const std::string& name) {
  for (const TinyCheckpoint& checkpoint : made_checkpoints())
    if (name == checkpoint.name) return checkpoint;
  throw Error("no checkpoint " + name);
}

class Architecture : public testing::TestWithParam<TinyCheckpoint> {};

TEST_P(Architecture, HasTheLogitsOfTransformersHoweverTheTextIsCut) {
  const TinyCheckpoint& checkpoint = GetParam();
  const Model model(import_checkpoint(checkpoint));
  const std::vector<int32_t> ids = golden_ids(checkpoint);
  const std::vector<float> want = to_float(Safetensors(checkpoint.folder + "/" + checkpoint.golden).tensor("logits"));
  const std::vector<float> whole = session_logits(model, ids, static_cast<int64_t>(ids.size()), checkpoint.context);
  double largest = 0;
  for (const float value : want) largest = std::max(largest, std::fabs(static_cast<double>(value)));
  EXPECT_LT(largest_difference(whole, want), 2e-5 * largest);
  for (const int64_t piece : {1, 7}) {
    const std::vector<float> cut = session_logits(model, ids, piece, checkpoint.context);
    EXPECT_LT(largest_difference(cut, whole), 1e-5 * largest) << piece << " tokens at a time";
  }
}

TEST(Windows, TakeMemoryForTheirTokensOnly) {
  const Model model(import_checkpoint(checkpoint_named("gemma2")));  // layer 0 has a window of 11
  Team team(1);
  SessionOptions options;
  options.chunk = 5;
  Session session(model, team, options);
  const std::vector<int32_t> ids(100, 7);
  session.feed(ids);
  EXPECT_EQ(session.kv_bytes(), (16 + 100) * 2 * 2 * 12 * 4);
}

// The metadata that other programs read must give the model back.
TEST_P(Architecture, SurvivesTheWayThroughTheFile) {
  const TinyCheckpoint& checkpoint = GetParam();
  const HfConfig hf(checkpoint.folder + "/" + checkpoint.config);
  const ModelConfig made = read_model_config(hf, hf_model(hf)).model;
  const ModelConfig read = read_model_config(GgufFile(import_checkpoint(checkpoint)));
  EXPECT_EQ(read.architecture, made.architecture);
  EXPECT_EQ(read.head_dim, made.head_dim);
  EXPECT_EQ(read.rope_dimensions, made.rope_dimensions);
  EXPECT_EQ(read.rope_scaling.kind, made.rope_scaling.kind);
  EXPECT_NEAR(read.rope_scaling.factor, made.rope_scaling.factor, 1e-6);
  EXPECT_NEAR(read.rope_scaling.attention_factor, made.rope_scaling.attention_factor, 1e-6);
  EXPECT_EQ(read.usual_context(), made.usual_context());
  for (int64_t l = 0; l < made.layers; ++l) EXPECT_EQ(read.window_of(l), made.window_of(l)) << l;
  EXPECT_FLOAT_EQ(read.score_scale(), made.score_scale());
  EXPECT_EQ(read.attention_soft_cap, made.attention_soft_cap);
  EXPECT_EQ(read.logit_soft_cap, made.logit_soft_cap);
}

LinearizeOptions few_steps(const std::string& source, const std::string& out, const std::string& text) {
  LinearizeOptions options;
  options.source = source, options.output = out, options.data = text;
  options.window = 8;
  options.keep_softmax = {1};
  for (TrainerOptions* stage : {&options.transfer, &options.lora_training}) {
    stage->steps = 3, stage->sequences = 2, stage->row_length = 48;
  }
  options.lora.targets = {"attn_q", "attn_v", "ffn_down"};
  options.measure_stages = false;
  return options;
}

std::string text_file() {
  const std::string path = own_scratch("architectures.txt");
  std::ofstream file(path);
  for (int i = 0; i < 600; ++i) file << "The " << i << ". sentence of a text.\n";
  return path;
}

TEST_P(Architecture, IsLinearizedLayerByLayer) {
  const TinyCheckpoint& checkpoint = GetParam();
  const Quiet quiet;
  const std::string out = own_scratch(fmt::format("tiny-{}-linear.gguf", checkpoint.name));
  Team team(2);
  const LinearizeReport report = linearize(few_steps(import_checkpoint(checkpoint), out, text_file()), team);
  EXPECT_LT(report.transfer.steps.back().loss, report.transfer.steps.front().loss);
  EXPECT_GT(report.lora_parameters, 0);
  const Model model(out);
  EXPECT_EQ(model.linear.layers, (std::vector<bool>{true, false}));
  const std::vector<int32_t> ids = golden_ids(checkpoint);
  const std::vector<float> whole = session_logits(model, ids, static_cast<int64_t>(ids.size()), checkpoint.context);
  double largest = 0;
  for (const float value : whole) largest = std::max(largest, std::fabs(static_cast<double>(value)));
  EXPECT_LT(largest_difference(session_logits(model, ids, 1, checkpoint.context), whole), 1e-5 * largest);
}

// LoRA on rows of a fused, quantized matrix; the parts become tensors of their own.
TEST(FusedWeights, OfAQuantizedBaseAreLinearized) {
  const Quiet quiet;
  const TinyCheckpoint checkpoint = checkpoint_named("phi3");
  const std::string base = own_scratch("fused-q8.gguf"), out = own_scratch("fused-q8-linear.gguf");
  quantize_gguf(import_checkpoint(checkpoint), base, DType::Q8_0, 2);
  Team team(2);
  LinearizeOptions options = few_steps(base, out, text_file());
  linearize(options, team);
  const GgufFile file(out);
  EXPECT_EQ(file.find("blk.0.attn_qkv.weight"), nullptr);
  EXPECT_EQ(file.tensor("blk.0.ffn_gate.weight").dtype, DType::Q8_0);
  // Rows without LoRA are the base's, bit for bit.
  const GgufFile base_file(base);
  const TensorEntry &k = file.tensor("blk.0.attn_k.weight"), &qkv = base_file.tensor("blk.0.attn_qkv.weight");
  const size_t row = qkv.bytes / static_cast<size_t>(qkv.shape[0]);
  ASSERT_EQ(k.bytes, 16 * row);
  EXPECT_EQ(std::memcmp(k.data, qkv.data + 32 * row, k.bytes), 0);
  options.output = own_scratch("fused-f16-linear.gguf"), options.type = DType::F16;
  linearize(options, team);
  EXPECT_EQ(Model(options.output).file.tensor("blk.1.ffn_up.weight").dtype, DType::F16);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Architecture, testing::ValuesIn(made_checkpoints()),
                         [](const auto& info) { return std::string(info.param.name); });

// --- configurations of other ages

TEST(OlderConfigurations, GiveTheSameFile) {
  const Quiet quiet;
  for (const TinyCheckpoint& checkpoint : made_checkpoints()) {
    SCOPED_TRACE(checkpoint.name);
    const std::string path = import_checkpoint(checkpoint), folder = ready_folder(checkpoint),
                      out = own_scratch("older-form.gguf");
    nlohmann::json config = nlohmann::json::parse(read_text_file(folder + "/config.json"));
    nlohmann::json rope = config["rope_parameters"];
    config.erase("rope_parameters");
    config["rope_theta"] = rope["rope_theta"];
    if (rope.contains("partial_rotary_factor")) config["partial_rotary_factor"] = rope["partial_rotary_factor"];
    const std::string type = rope["rope_type"];
    for (const char* key : {"rope_theta", "rope_type", "partial_rotary_factor"}) rope.erase(key);
    if (type != "default") {
      rope["type"] = type == "longrope" ? "su" : type;  // the first name of longrope
      config["rope_scaling"] = rope;
    }
    for (const char* key : {"layer_types", "architectures"}) config.erase(key);
    write_text_file(folder + "/config.json", config.dump());
    import_huggingface(folder, out, DType::F32, 1);
    EXPECT_EQ(read_text_file(out), read_text_file(path));
  }
}

TEST(OlderConfigurations, MistralsWindowMayBeAbsentOrNull) {
  const std::string folder = own_scratch("mistral-config");
  std::filesystem::create_directories(folder);
  const auto window = [&](const nlohmann::json& value) {
    nlohmann::json config = nlohmann::json::parse(
        R"({"model_type": "mistral", "num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16,
            "vocab_size": 256, "num_attention_heads": 2})");
    if (value != "absent") config["sliding_window"] = value;
    write_text_file(folder + "/config.json", config.dump());
    const HfConfig hf(folder);
    return read_model_config(hf, hf_model(hf)).model.window_of(0);
  };
  EXPECT_EQ(window(48), 48);
  EXPECT_EQ(window(nullptr), 0);
  EXPECT_EQ(window("absent"), 4096);  // transformers' value
}

// --- files of other programs --------------------------------------------------------------------------------------

// Writes `in` anew: keys for which `keep` is false go, then `change` may set some; tensors by name are replaced.
struct Rewrite {
  std::function<bool(std::string_view)> keep = [](std::string_view) { return true; };
  std::function<void(GgufWriter&)> change = [](GgufWriter&) {};
  std::map<std::string, std::vector<std::string>> fused;  // name -> what is stacked under it
};

std::string rewritten(const std::string& in, const std::string& name, const Rewrite& rewrite) {
  const GgufFile file(in);
  const std::string out = own_scratch(name + ".gguf");
  GgufWriter writer;
  writer.copy_metadata(file, rewrite.keep);
  rewrite.change(writer);
  std::vector<std::vector<const TensorEntry*>> parts;
  std::set<std::string> gone;
  for (const auto& [fused, names] : rewrite.fused) {
    std::vector<const TensorEntry*> stack;
    int64_t rows = 0;
    for (const std::string& part : names) {
      stack.push_back(&file.tensor(part));
      rows += stack.back()->shape[0];
      gone.insert(part);
    }
    std::vector<int64_t> shape = stack[0]->shape;
    shape[0] = rows;
    writer.add_tensor(fused, stack[0]->dtype, shape);
    parts.push_back(stack);
  }
  for (const TensorEntry& tensor : file.tensors()) {
    if (gone.contains(tensor.name)) continue;
    writer.add_tensor(tensor.name, tensor.dtype, tensor.shape);
    parts.push_back({&tensor});
  }
  writer.write(out, [&](size_t index, const GgufWriter::Sink& sink) {
    for (const TensorEntry* part : parts[index]) sink(part->data, part->bytes);
  });
  return out;
}

// The logits of a model's file and of the file rewritten.
void expect_same_logits(const std::string& path, const std::string& other, int64_t context = 0) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 40; ++i) ids.push_back(i * 37 % 251);
  const Model a(path), b(other);
  EXPECT_EQ(session_logits(a, ids, 40, context), session_logits(b, ids, 40, context));
}

TEST(OtherPrograms, FusedMatricesAreSplit) {
  const std::string path = import_checkpoint(checkpoint_named("rope_yarn"));  // has biases
  Rewrite rewrite;
  for (const int l : {0, 1}) {
    for (const char* kind : {"weight", "bias"}) {
      const auto name = [&](const char* stem) { return fmt::format("blk.{}.{}.{}", l, stem, kind); };
      rewrite.fused[name("attn_qkv")] = {name("attn_q"), name("attn_k"), name("attn_v")};
    }
  }
  const std::string fused = rewritten(path, "fused", rewrite);
  EXPECT_EQ(GgufFile(fused).find("blk.0.attn_q.weight"), nullptr);
  expect_same_logits(path, fused);
}

// llama.cpp's Phi-3 files name no kind of scaling; Gemma 2's may lack the caps and the window.
TEST(OtherPrograms, MissingKeysHaveTheirUsualValues) {
  const std::string phi3 = import_checkpoint(checkpoint_named("phi3"));
  Rewrite rewrite;
  rewrite.keep = [](std::string_view key) { return key != "phi3.rope.scaling.type"; };
  expect_same_logits(phi3, rewritten(phi3, "phi3-without-type", rewrite), 64);

  rewrite.keep = [](std::string_view key) { return !key.ends_with("softcapping") && !key.ends_with("sliding_window"); };
  const std::string gemma2 = rewritten(import_checkpoint(checkpoint_named("gemma2")), "gemma2-bare", rewrite);
  const ModelConfig config = read_model_config(GgufFile(gemma2));
  EXPECT_EQ(config.attention_soft_cap, 50);
  EXPECT_EQ(config.logit_soft_cap, 30);
  EXPECT_EQ(config.window_of(0), 4096);
  EXPECT_EQ(config.window_of(1), 0);

  // A factor without a kind is linear scaling, under either name.
  const std::string linear = import_checkpoint(checkpoint_named("rope_linear"));
  rewrite.keep = [](std::string_view key) { return key.find("rope.scaling") == std::string_view::npos; };
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    rewrite.change = [&](GgufWriter& writer) { writer.set(key, 4.0f); };
    expect_same_logits(linear, rewritten(linear, "linear-without-type", rewrite));
  }
}

TEST(OtherPrograms, WhatIsNotSupportedIsNamed) {
  const std::string path = import_checkpoint(checkpoint_named("qwen3"));
  const auto with = [&](const std::string& key, const auto& value) {
    Rewrite rewrite;
    rewrite.change = [&](GgufWriter& writer) { writer.set(key, value); };
    const Model model(rewritten(path, "refused", rewrite));
  };
  EXPECT_ERROR(with("general.architecture", "mamba"), "architecture 'mamba' is not supported; there are llama, phi2");
  EXPECT_ERROR(with("qwen3.expert_count", 8u), "mixtures of experts are not supported");
  EXPECT_ERROR(with("qwen3.rope.scaling.type", "spiral"), "RoPE scaling 'spiral' is not supported; none, linear");
  EXPECT_ERROR(with("qwen3.attention.value_length", 8u), "keys of 16 and values of 8 elements are not supported");
  EXPECT_ERROR(with("qwen3.attention.sliding_window_pattern", std::vector<bool>{true}),
               "names 1 layers, the model has 2");
  EXPECT_ERROR(with("qwen3.attention.scale", -1.0f), "attention.scale");
  Rewrite rewrite;
  rewrite.fused["blk.0.attn_gate.weight"] = {"blk.0.attn_q_norm.weight"};
  EXPECT_ERROR(Model(rewritten(path, "refused", rewrite)), "attn_q_norm.weight is missing");
  rewrite.fused = {{"blk.0.attn_qkv.weight", {"blk.0.attn_q.weight", "blk.0.attn_k.weight"}}};
  EXPECT_ERROR(Model(rewritten(path, "refused", rewrite)), "attn_qkv.weight has 96 rows, expected 128");
  rewrite.fused = {{"blk.0.ffn_gate_inp.weight", {"token_embd.weight"}}, {"token_embd.weight", {"token_embd.weight"}}};
  EXPECT_ERROR(Model(rewritten(path, "refused", rewrite)), "ffn_gate_inp.weight is not part of a qwen3 model");
}

// Bytes of the header changed at random: a model that still runs, or one clear error.
TEST(OtherPrograms, ChangedHeadersRunOrAreErrors) {
  const std::string whole = read_text_file(import_checkpoint(checkpoint_named("phi3")));
  const std::string path = own_scratch("phi3-changed.gguf");
  const size_t keys = whole.find("phi3.block_count"), end = whole.find("tokenizer.");
  ASSERT_LT(keys, end);
  Random random(5);
  int ran = 0, refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string changed = whole;
    for (uint64_t n = 1 + random.below(3); n > 0; --n)
      changed[keys + random.below(end - keys)] = static_cast<char>(random.below(256));
    write_text_file(path, changed);
    try {
      const Model model(path);
      session_logits(model, {1, 2, 3}, 2, 16);
      ++ran;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(ran, 10);
  EXPECT_GT(refused, 10);
}

}  // namespace
}  // namespace margay::test
