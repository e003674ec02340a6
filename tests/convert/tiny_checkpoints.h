// Checkpoints of all architectures in Hugging Face's layout, made ready to be imported: those of tests/data/hf (see
// make_tiny.py there) and, where ../shared/data is present, the fixtures. Weights are used in place.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/file.h"
#include "convert/import_huggingface.h"
#include "models/model.h"
#include "runtime/session.h"
#include "tests/convert/convert_data.h"
#include "tests/formats/made_tokenizer.h"

namespace margay::test {

struct TinyCheckpoint {
  const char* name;    // of this case
  std::string folder;  // of the weights and golden logits
  const char* config = "config.json";
  const char* golden = "golden.safetensors";
  int64_t context = 0;  // SessionOptions::capacity
};

inline const std::vector<TinyCheckpoint>& made_checkpoints() {
  static const std::vector<TinyCheckpoint> all = {
      {"phi3", data("hf/tiny-phi3"), "config.json", "golden.safetensors", 128},  // longer than the original context
      {"phi3_short", data("hf/tiny-phi3"), "config.json", "golden-short.safetensors"},
      {"qwen3", data("hf/tiny-qwen3")},
      {"gemma2", data("hf/tiny-gemma2")},
      {"rope_linear", data("hf/tiny-rope"), "config-linear.json", "golden-linear.safetensors"},
      {"rope_dynamic", data("hf/tiny-rope"), "config-dynamic.json", "golden-dynamic.safetensors", 64},
      {"rope_yarn", data("hf/tiny-rope"), "config-yarn.json", "golden-yarn.safetensors"},
      {"rope_yarn_factor", data("hf/tiny-rope"), "config-yarn-factor.json", "golden-yarn-factor.safetensors"},
  };
  return all;
}

// A path of the running test's own: tests may run beside each other.
inline std::string own_scratch(const std::string& name) {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string folder = fmt::format("{}.{}", test->test_suite_name(), test->name());
  std::replace(folder.begin(), folder.end(), '/', '-');
  std::filesystem::create_directories(scratch(folder));
  return scratch(folder + "/" + name);
}

// The checkpoint with a tokenizer of 256 bytes: its own is other tests' business.
inline std::string ready_folder(const TinyCheckpoint& checkpoint) {
  namespace fs = std::filesystem;
  const std::string folder = own_scratch(fmt::format("tiny-{}", checkpoint.name));
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const auto& entry : fs::directory_iterator(checkpoint.folder)) {
    const std::string file = entry.path().filename();
    if (file.starts_with("model") || file.starts_with("pytorch_model"))
      fs::create_symlink(entry.path(), folder + "/" + file);
  }
  fs::copy_file(checkpoint.folder + "/" + checkpoint.config, folder + "/config.json");
  write_text_file(folder + "/tokenizer.json", made_tokenizer().dump());
  return folder;
}

// Imports it as float32; returns the file's path.
inline std::string import_checkpoint(const TinyCheckpoint& checkpoint) {
  const Quiet quiet;
  const std::string out = own_scratch(fmt::format("tiny-{}.gguf", checkpoint.name));
  import_huggingface(ready_folder(checkpoint), out, DType::F32, 2);
  return out;
}

inline std::vector<int32_t> golden_ids(const TinyCheckpoint& checkpoint) {
  const Safetensors golden(checkpoint.folder + "/" + checkpoint.golden);
  const std::vector<int64_t> ids = to_int64(golden.tensor("input_ids"));
  return {ids.begin(), ids.end()};
}

// Logits [T, vocabulary] of one sequence, fed `piece` tokens at a time: rings of windows are as short as they may be.
inline std::vector<float> session_logits(const Model& model, const std::vector<int32_t>& ids, int64_t piece,
                                         int64_t context) {
  Team team(2);
  SessionOptions options;
  options.capacity = context;
  options.chunk = piece;
  Session session(model, team, options);
  std::vector<float> logits;
  for (size_t begin = 0; begin < ids.size(); begin += static_cast<size_t>(piece)) {
    const size_t count = std::min(static_cast<size_t>(piece), ids.size() - begin);
    session.feed_all_logits({ids.data() + begin, count}, [&](int64_t, int64_t, int64_t, std::span<const float> rows) {
      logits.insert(logits.end(), rows.begin(), rows.end());
    });
  }
  return logits;
}

// Largest difference of the last of `got` from `want`.
inline double largest_difference(const std::vector<float>& got, const std::vector<float>& want) {
  EXPECT_GE(got.size(), want.size());
  const size_t skip = got.size() - want.size();
  double largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(got[skip + i]) - want[i]);
    largest = std::isnan(difference) ? HUGE_VAL : std::max(largest, difference);
  }
  return largest;
}

}  // namespace margay::test
