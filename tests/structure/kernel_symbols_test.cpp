// Every kernel is compiled once for each instruction set. A function with external linkage that two of these objects
// share (an inline function, a template) would be kept once by the linker, perhaps in the copy that only newer CPUs can
// run. So: whatever an object defines weakly belongs to its instruction set's namespace, and what it needs from outside
// is plain C.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "base/cpu.h"
#include "tests/run_command.h"

namespace margay {
namespace {

namespace fs = std::filesystem;

#ifdef MARGAY_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// What kernels may call: memory and libm functions, and what compilers add for position-independent code, the stack
// protector and old x86 (half precision without F16C).
const std::set<std::string> kAllowed = {"memcpy",
                                        "memset",
                                        "memmove",
                                        "memcmp",
                                        "exp",
                                        "expf",
                                        "exp2f",
                                        "expm1f",
                                        "log",
                                        "logf",
                                        "log1pf",
                                        "sqrt",
                                        "sqrtf",
                                        "pow",
                                        "powf",
                                        "sin",
                                        "sinf",
                                        "cos",
                                        "cosf",
                                        "sincos",
                                        "sincosf",
                                        "tanhf",
                                        "rint",
                                        "rintf",
                                        "lrintf",
                                        "nearbyintf",
                                        "round",
                                        "roundf",
                                        "lroundf",
                                        "floor",
                                        "floorf",
                                        "ceilf",
                                        "truncf",
                                        "fmaf",
                                        "fma",
                                        "fmax",
                                        "fmaxf",
                                        "fmin",
                                        "fminf",
                                        "ldexpf",
                                        "scalbnf",
                                        "_GLOBAL_OFFSET_TABLE_",
                                        "__stack_chk_fail",
                                        "__truncsfhf2",
                                        "__extendhfsf2",
                                        "__gnu_h2f_ieee",
                                        "__gnu_f2h_ieee"};

struct Symbol {
  char type;
  std::string name;
};

std::vector<Symbol> symbols_of(const fs::path& object) {
  const test::Outcome outcome = test::run_command("nm -C '" + object.string() + "'");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  std::vector<Symbol> symbols;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    // "0000000000000010 T name" or "                 U name"
    if (line.size() < 20) continue;
    symbols.push_back({line[17], line.substr(19)});
  }
  return symbols;
}

// Compilers name sanitizers' and outlined helpers with a leading "__"; those of sanitizer builds are not listed here.
bool allowed(const std::string& name) { return kAllowed.contains(name.substr(0, name.find('@'))); }

void check_objects(const std::string& isa) {
  const fs::path folder = fs::path(MARGAY_BUILD) / "ops" / "CMakeFiles" / ("margay_kernels_" + isa + ".dir");
  ASSERT_TRUE(fs::is_directory(folder)) << folder;
  // margay::cpu::avx2::..., margay::simd::avx2::..., also inside "vtable for", "typeinfo for" and template arguments.
  const std::string space = "::" + isa + "::";
  const auto ours = [&](const std::string& name) {
    const size_t at = name.find("margay::"), in = name.find(space);
    return at == 0 && in != std::string::npos;
  };
  int objects = 0, kernels = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".o") continue;
    ++objects;
    const std::string file =
        isa + "/" + entry.path().filename().string() + " of " + entry.path().parent_path().filename().string();
    for (const Symbol& symbol : symbols_of(entry.path())) {
      switch (symbol.type) {
        case 'U':
        case 'w':
        case 'v':
          EXPECT_TRUE(ours(symbol.name) || allowed(symbol.name)) << file << " calls " << symbol.name;
          break;
        case 'W':
        case 'V':
        case 'u':
          EXPECT_TRUE(ours(symbol.name))
              << file << " defines " << symbol.name
              << " for the whole program: make it static or put it into MARGAY_ISA's namespace";
          break;
        case 'T':
        case 'D':
        case 'B':
        case 'R':
          EXPECT_TRUE(ours(symbol.name)) << file << " exports " << symbol.name;
          kernels += symbol.name.find("_kernel(") != std::string::npos;
          break;
        default:
          break;  // internal to the object
      }
    }
  }
  EXPECT_GT(objects, 5);
  EXPECT_GT(kernels, 20);
}

TEST(KernelSymbols, BelongToTheirInstructionSet) {
  if (kSanitized) GTEST_SKIP() << "sanitizers add symbols of their own";
  for (int i = 0; i < kIsaCount; ++i) {
    const std::string isa = isa_name(static_cast<Isa>(i));
    const fs::path folder = fs::path(MARGAY_BUILD) / "ops" / "CMakeFiles" / ("margay_kernels_" + isa + ".dir");
    if (!fs::exists(folder)) continue;  // another processor family
    check_objects(isa);
  }
}

}  // namespace
}  // namespace margay
