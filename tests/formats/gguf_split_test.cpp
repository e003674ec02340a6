// Models split into several GGUF files.
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/gguf.h"
#include "tests/formats/broken_files.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using Tensors = std::vector<std::string>;

void write_part(const std::string& path, uint16_t number, uint16_t count, int32_t all, const Tensors& names) {
  GgufWriter writer;
  if (number == 0) writer.set("general.architecture", "llama");
  writer.set("split.no", number);
  writer.set("split.count", count);
  writer.set("split.tensors.count", all);
  for (const std::string& name : names) writer.add_tensor(name, DType::F32, {2});
  writer.write(path, [&](size_t index, const GgufWriter::Sink& sink) {
    const std::vector<float> values(2, static_cast<float>(names[index][0]));
    sink(values.data(), 8);
  });
}

std::string part_path(int number) { return test::scratch(fmt::format("split-{:05}-of-00003.gguf", number)); }

void write_parts(const Tensors& second = {"c", "d"}, uint16_t second_number = 1, uint16_t second_count = 3) {
  write_part(part_path(1), 0, 3, 5, {"a", "b"});
  write_part(part_path(2), second_number, second_count, 5, second);
  write_part(part_path(3), 2, 3, 5, {"e"});
}

TEST(GgufSplit, TheFirstFileOpensAll) {
  write_parts();
  const GgufFile file(part_path(1));
  ASSERT_EQ(file.tensors().size(), 5u);
  for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT_EQ(to_float(file.tensor(name))[1], name[0]);
  EXPECT_EQ(file.string("general.architecture"), "llama");
  EXPECT_EQ(file.metadata().size(), 1u);  // without split.*
  EXPECT_EQ(file.paths().size(), 3u);
}

TEST(GgufSplit, PartsThatDoNotFitAreRefused) {
  write_parts();
  EXPECT_THROW(GgufFile(part_path(2)), Error);  // not the first
  write_parts({"a", "c"});
  EXPECT_THROW(GgufFile(part_path(1)), Error);  // a tensor twice
  write_parts({"c"});
  EXPECT_THROW(GgufFile(part_path(1)), Error);  // a tensor is missing
  write_parts({"c", "d"}, 2);
  EXPECT_THROW(GgufFile(part_path(1)), Error);  // the wrong part
  write_parts({"c", "d"}, 1, 4);
  EXPECT_THROW(GgufFile(part_path(1)), Error);  // of another model
  std::remove(part_path(2).c_str());
  EXPECT_THROW(GgufFile(part_path(1)), Error);  // absent
  const std::string renamed = test::scratch("renamed.gguf");
  write_part(renamed, 0, 3, 5, {"a", "b"});
  EXPECT_THROW(GgufFile{renamed}, Error);
  write_part(part_path(1), 0, 65535, 5, {"a"});
  EXPECT_THROW(GgufFile(part_path(1)), Error);
}

TEST(BrokenInput, GgufSplit) {
  write_parts();
  const std::string good = read_text_file(part_path(2));
  test::survives(part_path(2), good, 1000, [&] { ASSERT_GE(test::touch(GgufFile(part_path(1)).tensors()), 0u); });
}

}  // namespace
}  // namespace margay
