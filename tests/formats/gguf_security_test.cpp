// The classes of known vulnerabilities of GGUF readers (field-notes, 2.6), one named test each: the file is refused in
// one line, or read for what it is; and no memory is taken that it does not back.
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/gguf.h"
#include "tests/formats/broken_files.h"
#include "tests/formats/made_gguf.h"
#include "tests/peak_growth.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using Made = test::MadeGguf;
constexpr uint32_t kU8 = 0, kU32 = 4, kString = 8, kArray = 9;
constexpr uint64_t kMost = ~uint64_t{0};

std::string saved(const Made& made) {
  const std::string path = test::scratch("security.gguf");
  test::put(path, made.bytes());
  return path;
}

// The message of the Error on opening; empty when it opens. Never more than a few MiB.
std::string refused(const Made& made) {
  const test::PeakGrowth growth;
  std::string message;
  try {
    GgufFile file(saved(made));
  } catch (const Error& error) {
    message = error.what();
  }
  growth.expect_below(16);
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

Made key(uint32_t type) { return Made().header(0, 1).text("key").number(type); }
Made one(std::vector<uint64_t> ne, uint32_t type = 0, uint64_t offset = 0) {
  return Made().header(1, 0).tensor("t", std::move(ne), type, offset).zeros(256);
}

TEST(GgufSecurity, CVE_2024_21825_ArraySize) {
  for (const uint64_t count : {kMost, kMost / 4 + 2, uint64_t{1} << 33})
    for (const uint32_t element : {kU8, kU32, kString, 10u, kArray})
      EXPECT_NE(refused(key(kArray).number(element).number(count).zeros(64)), "");
}

TEST(GgufSecurity, CVE_2024_21802_TensorDimensions) {
  EXPECT_NE(refused(one({kMost})), "");
  EXPECT_NE(refused(one({uint64_t{1} << 62, 4})), "");
  EXPECT_NE(refused(Made().header(1, 0).text("t").number(0xffffffffu).zeros(64)), "");  // their number
}

TEST(GgufSecurity, CVE_2024_21836_TensorCount) {
  for (const uint64_t count : {kMost, kMost / 24 + 1, uint64_t{1} << 40})
    EXPECT_NE(refused(Made().header(count, 0).zeros(256)), "");
}

TEST(GgufSecurity, CVE_2024_23496_StringLength) {
  for (const uint64_t length : {kMost, kMost - 7, uint64_t{1} << 40, uint64_t{65}}) {
    EXPECT_NE(refused(key(kString).number(length).zeros(64)), "");
    EXPECT_NE(refused(Made().header(0, 1).number(length).zeros(64)), "");  // a key's
    EXPECT_NE(refused(Made().header(1, 0).number(length).zeros(64)), "");  // a tensor's name
  }
}

TEST(GgufSecurity, CVE_2024_23605_KeyCount) {
  for (const uint64_t count : {kMost, kMost / 16 + 1, uint64_t{1} << 40})
    EXPECT_NE(refused(Made().header(0, count).zeros(256)), "");
}

TEST(GgufSecurity, CVE_2024_32878_ErrorsHalfWay) {  // freed what was never set
  EXPECT_NE(refused(Made().header(0, 3).text("a").number(kString).text("x").text("b").number(kArray)), "");
  EXPECT_NE(refused(Made().header(2, 0).tensor("t", {4}, 0, 0).text("u")), "");
}

TEST(GgufSecurity, CVE_2024_41130_NothingThere) {  // null was read
  EXPECT_NE(refused(Made().header(1, 0).tensor("", {4}, 0, 0).zeros(64)), "");
  const GgufFile file(saved(Made().header(1, 0).tensor("t", {0}, 0, 0)));
  EXPECT_EQ(file.tensor("t").bytes, 0u);
  EXPECT_THROW(file.string("general.architecture"), Error);
}

TEST(GgufSecurity, CVE_2025_53630_CVE_2026_27940_SumOfTensorSizes) {
  const uint64_t half = uint64_t{1} << 61;  // F32: 2^63 bytes each
  EXPECT_NE(refused(Made().header(2, 0).tensor("t", {half}, 0, 0).tensor("u", {half}, 0, half * 4).zeros(256)), "");
  const uint64_t most = (uint64_t{1} << 61) - 8;
  EXPECT_NE(refused(Made().header(2, 0).tensor("t", {most}, 0, 0).tensor("u", {64}, 0, 0).zeros(512)), "");
}

TEST(GgufSecurity, CVE_2026_33298_DimensionsTimesStrides) {
  EXPECT_NE(refused(one({uint64_t{1} << 32, uint64_t{1} << 32})), "");
  EXPECT_NE(refused(one({uint64_t{1} << 31, uint64_t{1} << 31, 4, 1})), "");
  EXPECT_NE(refused(one({32, (uint64_t{1} << 59) + 1}, 2)), "");  // Q4_0: 18 bytes a block wrap
}

TEST(GgufSecurity, CVE_2026_7482_DimensionsBeyondTheFile) {
  EXPECT_EQ(refused(one({32})), "");
  EXPECT_NE(refused(one({4096, 4096})), "");
  EXPECT_NE(refused(one({4}, 0, 1 << 20)), "");
  EXPECT_NE(refused(one({4}, 0, kMost - 31)), "");
}

TEST(GgufSecurity, CVE_2026_53923_DimensionsOfMoreThan32Bits) {
  EXPECT_NE(refused(one({(uint64_t{1} << 32) + 4})), "");
  EXPECT_NE(refused(one({4, (uint64_t{1} << 32) + 1})), "");
}

TEST(GgufSecurity, Issue26690_ArrayElementsOfAnotherType) {
  const GgufFile file(saved(key(kArray).number(kU8).number(uint64_t{3}).zeros(3)));
  EXPECT_EQ(file.integers("key").size(), 3u);
  EXPECT_THROW(file.floats("key"), Error);
  EXPECT_THROW(file.strings("key"), Error);
  EXPECT_THROW(file.booleans("key"), Error);
}

TEST(GgufSecurity, Issue26318_PaddingWraps) {
  for (const uint32_t alignment : {0u, 0x80000000u, 0xffffffffu})
    EXPECT_NE(refused(Made().header(0, 1).text("general.alignment").number(kU32).number(alignment)), "");
  EXPECT_NE(refused(one({4}, 0, kMost & ~uint64_t{31})), "");
}

TEST(GgufSecurity, Issue19003_AGibibyteOfStringInAHundredBytes) {
  EXPECT_NE(refused(key(kString).number(uint64_t{1} << 30).zeros(100)), "");
  EXPECT_NE(refused(key(kArray).number(kString).number(uint64_t{1} << 27).zeros(100)), "");
}

TEST(GgufSecurity, BigEndianIsRefusedByName) {
  EXPECT_NE(refused(Made().header(0, 0, 0x03000000)).find("big-endian"), std::string::npos);
}

}  // namespace
}  // namespace margay
