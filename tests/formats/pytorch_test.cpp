#include "formats/pytorch.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "formats/checkpoint.h"
#include "formats/safetensors.h"
#include "tests/formats/broken_files.h"
#include "tests/formats/made_pytorch.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using test::floats;
using test::MadePickle;
using test::put;
using test::torch_members;

const std::vector<float> kValues = {0, 1, 2, 3, 4, 5, 6};

std::string saved(const std::string& name, const std::string& bytes) {
  const std::string path = test::scratch(name);
  put(path, bytes);
  return path;
}

// The message of the Error on opening an archive with this pickle and storage 0; empty when it opens.
std::string error_of(const std::string& pickle, const std::string& storage = floats(kValues)) {
  try {
    PyTorchFile(saved("refused.pt", test::made_zip(torch_members(pickle, {storage}))));
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return {};
}

void check_small(const TensorTable& file) {
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(to_float(file.tensor("a")), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.tensor("sub.t").shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(to_float(file.tensor("sub.t")), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(file.metadata().at("step"), "7");
}

TEST(PyTorch, ZipAndLegacyFilesHoldTheSame) {
  const auto members = torch_members(test::small_pickle(), {floats(kValues)});
  check_small(PyTorchFile(saved("small.pt", test::made_zip(members))));
  check_small(PyTorchFile(saved("small64.pt", test::made_zip(members, 0, true))));
  check_small(PyTorchFile(saved("legacy.pt", test::made_legacy(test::small_pickle(), {{"0", floats(kValues)}}))));
  check_small(Checkpoint(test::scratch("legacy.pt")));
}

TEST(PyTorch, TypesAndViews) {
  MadePickle p(4);
  p.op("\x95").op(std::string(8, '\0')).op("}(");
  p.text("half").tensor("Half", "0", 14, 2, {2}, {1}).text("bytes").tensor("Byte", "0", 28, 0, {2, 2}, {2, 1});
  p.text("row").tensor("Float", "0", 7, 2, {1, 2}, {1 << 30, 1}).text("none").tensor("Float", "0", 7, 7, {0}, {1});
  // A float of 8 bits has a dtype, but no storage class of its own.
  p.text("f8")
      .name("torch._utils", "_rebuild_tensor_v3")
      .op("((")
      .text("storage")
      .name("torch.storage", "UntypedStorage");
  p.text("1").text("cpu").integer(2).op("tQ").integer(0).counts({2}).counts({1}).op("\x89").op("N");
  p.name("torch", "float8_e4m3fn").op("tR");
  // A parameter, and names and texts as newer protocols write them.
  p.op("\x8c\x01p").op("\x94").op("\x8c\x0ctorch._utils").op("\x8c\x12_rebuild_parameter").op("\x93(");
  p.tensor("Float", "0", 7, 0, {1}, {1}).op("\x88Nt").op("R");
  const std::string pickle = p.op("u").done();
  const PyTorchFile file(
      saved("types.pt", test::made_zip(torch_members(pickle, {floats(kValues), std::string("\x38\xb8", 2)}))));
  EXPECT_EQ(file.unsupported().at("bytes"), "U8");
  EXPECT_THROW(file.find("bytes"), Error);
  EXPECT_EQ(file.tensor("half").dtype, DType::F16);
  EXPECT_EQ(to_float(file.tensor("row")), (std::vector<float>{2, 3}));
  EXPECT_EQ(file.tensor("none").elements(), 0);
  EXPECT_EQ(to_float(file.tensor("f8")), (std::vector<float>{1, -1}));
  EXPECT_EQ(to_float(file.tensor("p")), std::vector<float>{0});
}

TEST(PyTorch, CodeIsRefusedByName) {
  EXPECT_NE(error_of(MadePickle().name("os", "system").op("(").text("true").op("tR").done()).find("os.system"),
            std::string::npos);
  EXPECT_NE(error_of(MadePickle().name("builtins", "eval").op(")R").done()).find("builtins.eval"), std::string::npos);
  EXPECT_NE(error_of(MadePickle().name("torch", "load").op(")R").done()).find("torch.load"), std::string::npos);
  EXPECT_NE(error_of(MadePickle().text("os").text("system").op("\x93").done()).find("os.system"), std::string::npos);
  EXPECT_NE(error_of(MadePickle().op("(ios\nsystem\n").done()).find("0x69"), std::string::npos);  // INST
  EXPECT_NE(error_of(MadePickle().op("\x82\x01").done()).find("0x82"), std::string::npos);        // EXT1
  EXPECT_NE(error_of(MadePickle().op("\x8f").done()).find("0x8f"), std::string::npos);            // EMPTY_SET
  EXPECT_NE(error_of(MadePickle().op("I1\n").done()).find("0x49"), std::string::npos);            // a text protocol's
  EXPECT_NE(error_of(MadePickle().name("torch", "FloatStorage").op(")R").done()), "");            // a type, called
  EXPECT_NE(error_of(MadePickle().op("K\1}b").done()), "");                                       // attributes
  EXPECT_EQ(error_of(MadePickle().name("collections", "OrderedDict").op(")R}b").done()), "");
}

TEST(PyTorch, PicklesThatDoNotFitAreRefused) {
  const auto tensor = [](int64_t elements, int64_t offset, std::vector<int64_t> shape, std::vector<int64_t> strides) {
    return error_of(MadePickle().tensor("Float", "0", elements, offset, shape, strides).done());
  };
  constexpr int64_t kHuge = int64_t{1} << 62;
  EXPECT_EQ(tensor(7, 1, {2, 3}, {3, 1}), "");
  for (const std::string& message :
       {tensor(7, 2, {2, 3}, {3, 1}), tensor(7, -1, {2}, {1}), tensor(7, 0, {2}, {-1}), tensor(7, 0, {-2}, {1}),
        tensor(7, 0, {2, 2}, {kHuge, 1}), tensor(7, kHuge, {2}, {kHuge}), tensor(7, 0, {kHuge, kHuge}, {0, 0}),
        tensor(7, 0, {1 << 20}, {0}), tensor(7, 0, {2}, {1, 1}), tensor(7, 8, {0}, {1}), tensor(kHuge, 0, {8}, {1})})
    EXPECT_NE(message, "");
  EXPECT_NE(tensor(7, 0, std::vector<int64_t>(17, 1), std::vector<int64_t>(17, 1)), "");

  for (const char* bad : {"", "0", "t", "u", "R", "Q", "a", "h\5", "}a", "(", "X\xff\xff\xff\xff", "\x8d", "\x8a\x09",
                          "]K\1s", "cos", "K\1K\1\x93"})
    EXPECT_NE(error_of(MadePickle().op(bad).done()), "") << bad;
  EXPECT_NE(error_of("(lp0\n."), "");                     // protocol 0
  EXPECT_NE(error_of(MadePickle(6).op("}").done()), "");  // from the future
  std::string many;
  for (int i = 0; i < (1 << 20) + 1; ++i) many += "N0";
  EXPECT_NE(error_of(MadePickle().op(many).op("}").done()), "");
}

TEST(PyTorch, CirclesAndSharedValuesEnd) {
  EXPECT_NE(error_of(MadePickle().op("]q\1h\1a").done()).find("deeper"), std::string::npos);
  // A list of two lists of two lists...: 2^40 paths.
  MadePickle bomb;
  bomb.op("]");
  for (int i = 0; i < 40; ++i) bomb.op("q\1").op("]q\2(h\1h\1e");
  EXPECT_NE(error_of(bomb.done()).find("shared too often"), std::string::npos);
  MadePickle deep;
  for (int i = 0; i < 5000; ++i) deep.op("](");
  deep.op("}");
  for (int i = 0; i < 5000; ++i) deep.op("e");
  EXPECT_NE(error_of(deep.done()), "");
}

TEST(PyTorch, ArchivesThatLieAreRefused) {
  const auto opens = [](const test::ZipMembers& members, uint16_t method = 0) {
    try {
      PyTorchFile(saved("lie.pt", test::made_zip(members, method)));
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  test::ZipMembers members = torch_members(test::small_pickle(), {floats(kValues)});
  EXPECT_EQ(opens(members), "");
  EXPECT_NE(opens(members, 8).find("compressed"), std::string::npos);
  EXPECT_NE(opens({{"x/readme", "no pickle"}}).find("data.pkl"), std::string::npos);
  members[1].second = "big";
  EXPECT_NE(opens(members).find("big-endian"), std::string::npos);
  members[1].second = "little";
  members[2].second.resize(20);  // a shorter storage than the tensor needs
  EXPECT_NE(opens(members).find("reaches out"), std::string::npos);
  members.pop_back();
  EXPECT_NE(opens(members).find("data/0"), std::string::npos);
  members.push_back(members[0]);
  EXPECT_NE(opens(members).find("twice"), std::string::npos);
}

TEST(PyTorch, ShardsOfAnIndex) {
  const std::string folder = test::scratch("sharded-pytorch");
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const char* name : {"a", "b"})
    put(folder + "/" + name + ".bin",
        test::made_zip(torch_members(
            MadePickle().op("}").text(name).tensor("Float", "0", 7, 0, {7}, {1}).op("s").done(), {floats(kValues)})));
  const auto open = [&](const std::string& map) {
    put(folder + "/pytorch_model.bin.index.json", "{\"weight_map\":{" + map + "}}");
    return Checkpoint(folder);
  };
  EXPECT_EQ(to_float(open(R"("a":"a.bin","b":"b.bin")").tensor("b")), kValues);
  EXPECT_EQ(open(R"("a":"a.bin","b":"b.bin")").files().size(), 2u);
  EXPECT_THROW(open(R"("a":"a.bin")").tensor("b"), Error);
  EXPECT_THROW(open(R"("a":"b.bin","b":"b.bin")"), Error);
}

TEST(BrokenInput, PyTorchZip) {
  const std::string path = test::scratch("broken.pt");
  test::survives(path, test::made_zip(torch_members(test::small_pickle(), {floats(kValues)})), 4000,
                 [&] { ASSERT_GE(test::touch(PyTorchFile(path).tensors()), 0u); });
}

TEST(BrokenInput, PyTorchZip64) {
  const std::string path = test::scratch("broken64.pt");
  test::survives(path, test::made_zip(torch_members(test::small_pickle(), {floats(kValues)}), 0, true), 2000,
                 [&] { ASSERT_GE(test::touch(PyTorchFile(path).tensors()), 0u); });
}

TEST(BrokenInput, PyTorchLegacy) {
  const std::string path = test::scratch("broken-legacy.pt");
  test::survives(path, test::made_legacy(test::small_pickle(), {{"0", floats(kValues)}}), 4000,
                 [&] { ASSERT_GE(test::touch(PyTorchFile(path).tensors()), 0u); });
}

}  // namespace
}  // namespace margay
