#include "convert/lolcats_config.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/yaml.h"
#include "tests/convert/convert_data.h"
#include "tests/formats/broken_files.h"

namespace margay::test {
namespace {

constexpr const char* kModel = R"(# a model of the reference's
model:
  pretrained_model_name_or_path: "meta-llama/Meta-Llama-3-8B"
  torch_dtype: bfloat16
  rope_scaling: null
attention:
  attention_type: lolcats_llama_window_tk  # terraces
  state_chunk_len: 1024
  window_size: 32
  affine_attention_factors: true
  init_window_factor: -2.1972245773362196
  feature_map: softmax_dim
  feature_map_kwargs:
    eps: 1e-12
    fullspace: true
  layer_idx: null
  learned_kernel: untied_head_einsum
  learned_kernel_kwargs:
    feature_dim: 64
    skip_connection: false
    zero_init: false
  softmax_attentions: [7, 15]
)";

TEST(Yaml, ReadsWhatConfigurationsAreMadeOf) {
  const nlohmann::json json = parse_yaml(
      "a: 1\nb:\n  - x\n  - y: 2\n    z: 'q # r'\n  -\n    w: [1, 2.5, t]\nc:\n- 1e-2\n- ~\n\"d\": True\ne: {}\nf:\ng: "
      "1_0\n",
      "made");
  EXPECT_EQ(json, nlohmann::json::parse(R"({"a":1,"b":["x",{"y":2,"z":"q # r"},{"w":[1,2.5,"t"]}],"c":[0.01,null],
                                            "d":true,"e":{},"f":null,"g":"1_0"})"));
  EXPECT_TRUE(parse_yaml("", "made").is_null());
  for (const char* bad : {"a: &x 1", "a: |\n  text", "a: {b: 1}", "a: 1\na: 2", "a:\n\tb: 1", "a",
                          "a: 1\n   b: 2\n c: 3", "a: [1, [2]]", "a: [1", "a: 'x", "a: \"\\n\"", "? a"})
    EXPECT_THROW(parse_yaml(bad, "made"), Error) << bad;
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += std::string(static_cast<size_t>(i), ' ') + "k:\n";
  EXPECT_THROW(parse_yaml(deep, "made"), Error);
  EXPECT_THROW(parse_yaml(std::string(5000, '-') + " x", "made"), Error);
  std::string items;
  for (int i = 0; i < 1000; ++i) items += "- ";
  EXPECT_THROW(parse_yaml(items + "x", "made"), Error);
}

LolcatsConfig read(const std::string& yaml, const std::string& also = "") {
  LolcatsOptions options;
  for (const std::string& text : {yaml, also}) {
    if (text.empty()) continue;
    options.configs.push_back(scratch(fmt::format("lolcats-{}.yaml", options.configs.size())));
    write_text_file(options.configs.back(), text);
  }
  return read_lolcats_config(options);
}

std::string changed(const std::string& from, const std::string& to) {
  std::string text = kModel;
  return text.replace(text.find(from), from.size(), to);
}

TEST(LolcatsConfig, ComesFromYaml) {
  const LolcatsConfig config =
      read(kModel, "finetune:\n  method: lora\n  kwargs:\n    r: 4\n    lora_alpha: 8\n    target_modules: [q_proj]\n");
  EXPECT_EQ(config.window_kind, WindowKind::kTerraced);
  EXPECT_EQ(config.window, 32);
  EXPECT_EQ(config.feature_map, "hedgehog");
  EXPECT_TRUE(config.affine);
  EXPECT_EQ(config.softmax_layers, (std::set<int64_t>{7, 15}));
  EXPECT_EQ(config.lora_alpha, 8);
  EXPECT_EQ(read(changed("lolcats_llama_window_tk", "lolcats_long_llama_window_sw")).window_kind, WindowKind::kSliding);
  EXPECT_EQ(read(changed("lolcats_llama_window_tk", "lolcats_llama")).window_kind, WindowKind::kNone);
  EXPECT_EQ(read(changed("fullspace: true", "fullspace: false")).feature_map, "hedgehog_half");
  EXPECT_EQ(read(changed("softmax_dim", "relu")).feature_map, "t2r");
  EXPECT_EQ(read(changed("softmax_dim", "exp_dim")).feature_map, "exp");
  EXPECT_EQ(read(changed("softmax_dim", "pos_elu")).feature_map, "elu1");
}

TEST(LolcatsConfig, WhatIsNotThereIsNamed) {
  EXPECT_ERROR(read(changed("lolcats_llama_window_tk", "softmax")), "attention_type 'softmax'");
  EXPECT_ERROR(read(changed("lolcats_llama_window_tk", "lolcats_llama_window_sw_scale")), "_sw_scale");
  EXPECT_ERROR(read(changed("softmax_dim", "dct")), "feature_map 'dct'");
  EXPECT_ERROR(read(changed("skip_connection: false", "skip_connection: true")), "skip_connection");
  EXPECT_ERROR(read(changed("untied_head_einsum", "untied_head_adapter")), "untied_head_adapter");
  EXPECT_ERROR(read(changed("1e-12", "1e-6")), "eps");
  EXPECT_ERROR(read(changed("window_size: 32", "window_size: none")), "window_size");
  EXPECT_ERROR(read("finetune:\n  method: full\n"), "method 'full'");
}

TEST(LolcatsConfig, ComesFromNamesAndOptions) {
  const auto named = [](const std::string& name) {
    LolcatsOptions options;
    options.checkpoints = {scratch(name)};
    std::filesystem::create_directories(std::filesystem::path(options.checkpoints[0]).parent_path());
    write_safetensors(options.checkpoints[0], {});
    return options;
  };
  const auto tk = read_lolcats_config(named("distill_llama3_8b_lk_smd_wtk32_fd64_w01/dl-d=x_distill.safetensors"));
  EXPECT_EQ(tk.window_kind, WindowKind::kTerraced);
  EXPECT_EQ(tk.window, 32);
  LolcatsOptions options = named("distill_mistral_7b_lk_smd_wsw64_fd64_w01.safetensors");
  EXPECT_EQ(read_lolcats_config(options).window_kind, WindowKind::kSliding);
  options.window_kind = "none", options.window = 16, options.feature_map = "t2r", options.lora_alpha = 3;
  const LolcatsConfig config = read_lolcats_config(options);
  EXPECT_EQ(config.window_kind, WindowKind::kNone);
  EXPECT_EQ(config.window, 16);
  EXPECT_EQ(config.feature_map, "t2r");
  EXPECT_EQ(config.lora_alpha, 3);
  EXPECT_FALSE(read_lolcats_config(named("model.safetensors")).window_kind.has_value());
}

TEST(BrokenInput, Yaml) {
  const std::string path = scratch("broken.yaml");
  LolcatsOptions options;
  options.configs = {path};
  survives(path, kModel, 3000, [&] { read_lolcats_config(options); });
}

}  // namespace
}  // namespace margay::test
