// The flat table of a vocabulary.
#include "formats/token_table.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"

namespace margay {
namespace {

TEST(TokenTable, EqualsAMap) {
  TokenTable table;
  EXPECT_EQ(table.find(""), -1);
  EXPECT_EQ(table.find("a"), -1);
  std::map<std::string, int32_t> expected;
  Random random(1);
  for (int32_t id = 0; id < 20000; ++id) {
    std::string text(random.below(4), '\0');  // short ones over four letters: many come again
    for (char& c : text) c = static_cast<char>("abc\xc4"[random.below(4)]);
    if (id % 7 == 0) text += std::to_string(id);
    EXPECT_EQ(table.add(text, id), expected.emplace(text, id).second) << text;
  }
  ASSERT_EQ(table.size(), static_cast<int64_t>(expected.size()));
  for (const auto& [text, id] : expected) {
    const int64_t entry = table.find(text);
    ASSERT_GE(entry, 0) << text;
    EXPECT_EQ(table.id(entry), id);
    EXPECT_EQ(table.text(entry), text);
    EXPECT_EQ(table.find(text + "!"), -1);
  }
}

TEST(TokenTable, ReservedOnesWorkAlike) {
  TokenTable table;
  table.reserve(2);  // more may come
  for (int32_t id = 0; id < 100; ++id) EXPECT_TRUE(table.add(std::to_string(id), id));
  for (int32_t id = 0; id < 100; ++id) EXPECT_EQ(table.id(table.find(std::to_string(id))), id);
  EXPECT_FALSE(table.add("7", 1));
  EXPECT_EQ(table.id(table.find("7")), 7);
}

}  // namespace
}  // namespace margay
