// LoLCATs checkpoints on their base, LoRA merged and beside the weights, and the way back out.
#include "convert/lolcats.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "convert/adapt.h"
#include "convert/export.h"
#include "convert/import_huggingface.h"
#include "formats/checkpoint.h"
#include "models/model.h"
#include "ops/program.h"
#include "tests/convert/convert_data.h"
#include "tests/convert/rounded_rope.h"

namespace margay::test {
namespace {

const std::string kTiny = data("hf/tiny-llama3");

std::string part(const std::string& run, const char* stage) {
  return data(fmt::format("lolcats/tiny-llama3_{}_{}.pt", run, stage));
}

AdaptOptions adapting(const std::string& run, const std::string& name) {
  AdaptOptions options;
  options.source = kTiny;
  options.output = scratch(name);
  options.target = DType::F32;
  options.threads = 2;
  options.lolcats.checkpoints = {part(run, "distill"), part(run, "ft")};
  return options;
}

std::string adapted(const AdaptOptions& options) {
  const Quiet quiet;
  convert_adapted(options);
  return options.output;
}

// Logits of the last model's program over `ids`, with the frequencies that the fixtures were computed with.
std::vector<float> logits_of(const Model& model, const std::vector<int64_t>& ids) {
  WeightSet weights = model.weights;
  const std::vector<float> factors = rounded_rope_factors(model.config, weights);
  set_rope_factors(weights, factors);
  BuildOptions options;
  options.tokens = static_cast<int64_t>(ids.size());
  const auto built = build_model(model.config, model.linear, weights, options, model.lora.scale());
  Team team(2);
  Program program(built->graph, std::vector{built->logits}, team);
  for (size_t i = 0; i < ids.size(); ++i) {
    program.data<int32_t>(built->tokens)[i] = static_cast<int32_t>(ids[i]);
    program.data<int32_t>(built->positions)[i] = static_cast<int32_t>(i);
  }
  program.run();
  const float* logits = program.data<float>(built->logits);
  return {logits, logits + ids.size() * static_cast<size_t>(model.config.vocabulary)};
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

std::vector<int64_t> first_row(const Safetensors& golden) {
  std::vector<int64_t> ids = to_int64(golden.tensor("val_tokens"));
  ids.resize(256);
  return ids;
}

// Every tensor of b, with the bytes of a.
void expect_same_tensors(const std::string& a, const std::string& b) {
  const GgufFile first(a), second(b);
  ASSERT_EQ(first.tensors().size(), second.tensors().size());
  for (const TensorEntry& tensor : second.tensors()) {
    const TensorEntry* other = first.find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(tensor.shape, other->shape) << tensor.name;
    EXPECT_TRUE(tensor.bytes == other->bytes && std::memcmp(tensor.data, other->data, tensor.bytes) == 0)
        << tensor.name;
  }
}

class LolcatsCheckpoint : public testing::TestWithParam<const char*> {};

TEST_P(LolcatsCheckpoint, HoldsAndRunsWhatTheReferenceTrained) {
  const std::string run = GetParam();
  const Safetensors golden(data("lolcats/train_" + run + ".safetensors"));
  int compared = 0;
  for (const auto& [stage, prefix] : {std::pair{"distill", "transfer."}, {"ft", "lora."}}) {
    const Checkpoint file(part(run, stage));
    for (const TensorEntry& tensor : file.tensors()) {
      const std::string key = tensor.name.substr(std::string("model_state_dict.").size());
      EXPECT_EQ(to_float(tensor), to_float(golden.tensor(prefix + key))) << key;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 3 * 3 + 3 * 8);
  const Model model(adapted(adapting(run, "lolcats-" + run + ".gguf")));
  EXPECT_EQ(model.config.architecture, "llama");
  EXPECT_EQ(model.linear.window_kind, run.starts_with("sliding") ? WindowKind::kSliding : WindowKind::kTerraced);
  EXPECT_EQ(model.linear.window, run.ends_with("w16") ? 16 : 64);
  EXPECT_LT(largest_difference(logits_of(model, first_row(golden)), to_float(golden.tensor("val_logits.lora"))), 2e-3);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, LolcatsCheckpoint, testing::Values("terraced_w16", "sliding_w64"));

TEST(Lolcats, LoraIsMergedOrKept) {
  const Safetensors golden(data("lolcats/train_terraced_w16.safetensors"));
  AdaptOptions options = adapting("terraced_w16", "lolcats-kept.gguf");
  const Model merged(adapted(adapting("terraced_w16", "lolcats-merged.gguf")));
  options.keep_lora = scratch("lolcats-lora.gguf");
  const std::string plain = adapted(options);
  const std::vector<int64_t> ids = first_row(golden);
  const std::vector<float> expected = logits_of(merged, ids);
  EXPECT_LT(largest_difference(logits_of(Model(plain, {}, {{options.keep_lora, 1}}), ids), expected), 1e-3);
  EXPECT_GT(largest_difference(logits_of(Model(plain), ids), expected), 0.1);
  // Two halves of an adapter are the whole one.
  const Model halves(plain, {}, {{options.keep_lora, 0.5f}, {options.keep_lora, 0.5f}});
  EXPECT_EQ(halves.weights.get("blk.0.attn_q.weight.lora_a", make_shape({16, 128})).dtype, DType::F32);
  EXPECT_LT(largest_difference(logits_of(halves, ids), expected), 1e-3);
  // Merged by --lora into the model that was kept apart from it.
  AdaptOptions merge;
  merge.source = plain, merge.output = scratch("lolcats-merged-again.gguf"), merge.loras = {{options.keep_lora, 1}};
  expect_same_tensors(merged.file.path(), adapted(merge));
}

TEST(Export, ComesBackAsTheSameBits) {
  const Quiet quiet;
  AdaptOptions options = adapting("terraced_w16", "export-model.gguf");
  options.keep_lora = scratch("export-lora.gguf");
  const std::string model = adapted(options);
  const GgufFile file(model);
  const ModelConfig config = read_model_config(file);

  const LoraAdapter adapter = read_lora(options.keep_lora, config, WeightSet(file, config));
  const std::string peft = scratch("export-peft"), again = scratch("export-lora-again.gguf");
  export_peft(adapter, config, peft);
  export_gguf_lora(read_lora(peft, config, WeightSet(file, config)), config, again);
  EXPECT_EQ(read_text_file(again), read_text_file(options.keep_lora));

  const std::string maps = scratch("export-maps.safetensors");
  export_lolcats(file, {{options.keep_lora, 1}}, maps);
  const Checkpoint written(maps), distilled(part("terraced_w16", "distill")), tuned(part("terraced_w16", "ft"));
  for (const Checkpoint* theirs : {&distilled, &tuned})
    for (const TensorEntry& tensor : theirs->tensors())
      EXPECT_EQ(to_float(written.tensor(tensor.name.substr(std::string("model_state_dict.").size()))), to_float(tensor))
          << tensor.name;
  AdaptOptions back = options;
  back.lolcats.checkpoints = {maps};
  back.output = scratch("export-back.gguf"), back.keep_lora = scratch("export-lora-back.gguf");
  expect_same_tensors(model, adapted(back));
  EXPECT_EQ(read_text_file(back.keep_lora), read_text_file(options.keep_lora));

  const std::string folder = scratch("export-folder");
  std::filesystem::remove_all(folder);
  export_huggingface(file, folder);
  AdaptOptions whole;
  whole.source = folder, whole.output = scratch("export-whole.gguf");
  whole.lolcats.checkpoints = {folder + "/lolcats.safetensors"};
  expect_same_tensors(model, adapted(whole));
  const Model first(model), second(whole.output);
  EXPECT_EQ(second.config.norm_epsilon, first.config.norm_epsilon);
  EXPECT_EQ(second.config.rope_base, first.config.rope_base);
  EXPECT_EQ(second.linear.window, 16);
  EXPECT_EQ(second.tokenizer.encode("A wild cat <|eot_id|>", true),
            first.tokenizer.encode("A wild cat <|eot_id|>", true));
  EXPECT_EQ(second.tokenizer.eos(), first.tokenizer.eos());
  EXPECT_EQ(second.tokenizer.chat_template(), first.tokenizer.chat_template());
}

TEST(Export, ASoftmaxModelKeepsItsTypes) {
  const Quiet quiet;
  const std::string model = scratch("export-bf16.gguf"), folder = scratch("export-bf16"), again = model + ".again.gguf";
  import_huggingface(kTiny, model, DType::BF16, 2);
  std::filesystem::remove_all(folder);
  export_huggingface(GgufFile(model), folder);
  const Checkpoint written(folder), original(kTiny);
  for (const TensorEntry& tensor : original.tensors())
    EXPECT_EQ(to_float(written.tensor(tensor.name)), to_float(tensor)) << tensor.name;
  EXPECT_EQ(written.tensor("model.embed_tokens.weight").dtype, DType::BF16);
  import_huggingface(folder, again, DType::BF16, 2);
  expect_same_tensors(model, again);
  EXPECT_ERROR(export_lolcats(GgufFile(model), {}, scratch("none.safetensors")), "is a softmax model");
}

TEST(Lolcats, WhatDoesNotFitIsNamed) {
  const Quiet quiet;
  // The checkpoint after a change of one tensor, layer 0's `rest`.
  const auto with = [&](const std::string& rest, const std::function<void(TensorEntry&)>& change) {
    const Checkpoint file(part("terraced_w16", "distill"));
    std::vector<TensorEntry> tensors;
    for (TensorEntry tensor : file.tensors()) {
      if (tensor.name.ends_with("layers.0.self_attn." + rest)) change(tensor);
      if (!tensor.name.empty()) tensors.push_back(tensor);
    }
    const std::string path = scratch("changed.safetensors");
    write_safetensors(path, tensors);
    AdaptOptions options = adapting("terraced_w16", "lolcats-refused.gguf");
    options.lolcats.checkpoints = {path};
    convert_adapted(options);
  };
  const auto renamed = [&](const char* name) {
    with("feature_map_q.mlp.layer", [&](TensorEntry& tensor) { tensor.name = name; });
  };
  const auto without = [&](const char* rest) { with(rest, [](TensorEntry& tensor) { tensor.name.clear(); }); };
  EXPECT_NO_THROW(with("", [](TensorEntry&) {}));
  EXPECT_ERROR(renamed("model.layers.0.self_attn.q_proj.weight"), "none of LoLCATs' own");
  EXPECT_ERROR(renamed("lm_head.weight"), "is no part of");
  EXPECT_ERROR(renamed("model.layers.7.self_attn.feature_map_q.mlp.layer"), "3 layers");
  EXPECT_ERROR(renamed("model.layers.0.self_attn.q_proj.lora_A.default.weight"), "lora_A");
  EXPECT_ERROR(with("feature_map_k.mlp.layer",
                    [](TensorEntry& tensor) {
                      tensor.shape = {16, 16, 8};
                    }),
               "expected [8, 16, features]");
  EXPECT_ERROR(without("feature_map_q.mlp.layer"), "no query map");
  EXPECT_ERROR(without("feature_map_k.mlp.layer"), "no key map");
  EXPECT_ERROR(without("window_factors"), "attn_window_factor");
  AdaptOptions options = adapting("terraced_w16", "lolcats-refused.gguf");
  options.lolcats.checkpoints.pop_back();
  options.keep_lora = scratch("none.gguf");
  EXPECT_ERROR(convert_adapted(options), "holds no LoRA");
  options = adapting("terraced_w16", "lolcats-refused.gguf");
  options.lolcats.checkpoints.erase(options.lolcats.checkpoints.begin());
  EXPECT_ERROR(convert_adapted(options), "name the _distill.pt too");
  options = adapting("terraced_w16", "lolcats-twice.gguf");
  options.source = adapted(adapting("terraced_w16", "lolcats-once.gguf"));
  EXPECT_ERROR(convert_adapted(options), "linearized already");
}

TEST(Lora, WhatDoesNotFitIsNamed) {
  const Quiet quiet;
  AdaptOptions options = adapting("terraced_w16", "lora-refused.gguf");
  options.keep_lora = scratch("lora-whole.gguf");
  const GgufFile file(adapted(options));
  const ModelConfig config = read_model_config(file);
  const WeightSet weights(file, config);
  const LoraAdapter adapter = read_lora(options.keep_lora, config, weights);
  const std::string folder = scratch("lora-refused");
  export_peft(adapter, config, folder);
  const nlohmann::json settings = nlohmann::json::parse(read_text_file(folder + "/adapter_config.json"));
  const auto with = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = settings;
    changed[key] = value;
    write_text_file(folder + "/adapter_config.json", changed.dump());
    return read_lora(folder, config, weights);
  };
  EXPECT_EQ(with("lora_alpha", 4).pairs.begin()->second.scale, 0.5f);
  EXPECT_EQ(with("use_rslora", true).pairs.begin()->second.scale, static_cast<float>(16 / std::sqrt(8.0)));
  EXPECT_NO_THROW(with("rank_pattern", nlohmann::json::object()));
  EXPECT_ERROR(with("rank_pattern", {{"q_proj", 4}}), "rank_pattern");
  EXPECT_ERROR(with("use_dora", true), "use_dora");
  EXPECT_ERROR(with("bias", "all"), "bias");
  EXPECT_ERROR(with("modules_to_save", {"lm_head"}), "modules_to_save");
  EXPECT_ERROR(with("peft_type", "IA3"), "peft_type");
  EXPECT_ERROR(with("lora_alpha", "16"), "lora_alpha");
  EXPECT_ERROR(read_lora(scratch("absent"), config, weights), "does not exist");
  EXPECT_ERROR(read_lora(file.path(), config, weights), "expected an adapter");
  ModelConfig fewer = config;
  fewer.layers = 2;
  EXPECT_ERROR(read_lora(folder, fewer, weights), "lora_alpha");  // the last one written
  with("lora_alpha", 16);
  EXPECT_ERROR(read_lora(folder, fewer, weights), "the model has 2");
  LoraAdapter other = adapter;
  other.pairs["blk.0.attn_z.weight"] = other.pairs.begin()->second;
  EXPECT_ERROR(check_lora(other, weights), "no projection of this model");
  other = adapter;
  other.pairs.begin()->second.in += 1;
  EXPECT_ERROR(check_lora(other, weights), "this model's is");
  EXPECT_EQ(parse_lora_file("a=0.5").scale, 0.5f);
  EXPECT_EQ(parse_lora_file("a").scale, 1);
  EXPECT_ERROR(parse_lora_file("a=much"), "is no number");
}

}  // namespace
}  // namespace margay::test
