// Every row of ops.def is complete: a name, kernels, a definition and cases.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string_view>

#include "base/cpu.h"
#include "ops/backend.h"
#include "ops/cases.h"

namespace margay {
namespace {

struct Row {
  OpId op;
  const char* name;
};
const std::vector<Row> kRows = {
#define OP(id, name) {OpId::id, #name},
#include "ops/ops.def"
#undef OP
};

const OpInfo* find_op(std::string_view name) {
  for (const Row& row : kRows)
    if (name == row.name) return &op_info(row.op);
  return nullptr;
}

TEST(OpTable, NamesEqualTheirRows) {
  std::set<std::string_view> seen;
  for (const Row& row : kRows) {
    EXPECT_STREQ(op_info(row.op).name, row.name);
    EXPECT_NE(op_info(row.op).shape, nullptr) << row.name << " has no shape rule";
    EXPECT_TRUE(seen.insert(row.name).second) << row.name << " is there twice";
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(OpId::kCount));
}

TEST(OpTable, KernelsForEveryInstructionSet) {
  for (int i = 0; i < kIsaCount; ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (!isa_available(isa)) continue;
    const Kernel* kernels = cpu_kernels(isa);
    for (const Row& row : kRows)
      EXPECT_NE(kernels[static_cast<size_t>(row.op)], nullptr) << row.name << ", " << isa_name(isa);
  }
}

TEST(OpTable, EveryOpHasADefinition) {
  for (const Row& row : kRows) {
    const OpInfo& info = op_info(row.op);
    if (info.compose || info.reference) continue;
    ASSERT_NE(info.gradient_of, nullptr) << row.name << " has neither compose nor reference, and is no gradient";
    const OpInfo* of = find_op(info.gradient_of);
    ASSERT_NE(of, nullptr) << row.name << " is the gradient of " << info.gradient_of << ", which is not there";
    EXPECT_NE(of->vjp, nullptr) << row.name << " is the gradient of " << of->name << ", which has no vjp";
    EXPECT_TRUE(of->compose || of->reference) << of->name << " has no definition to differentiate";
  }
}

TEST(OpTable, EveryOpHasCases) {
  std::set<OpId> used;
  for (const Case& test : all_cases()) {
    if (test.bench) continue;  // the unit tests skip these
    SCOPED_TRACE(test.name);
    CaseGraph leaves(1);
    const std::vector<Tensor> outputs = test.build(leaves);
    ASSERT_FALSE(outputs.empty());
    for (const Node& node : leaves.graph.nodes()) used.insert(node.op);
    if (!test.gradient || leaves.differentiable().empty()) continue;
    Tensor loss;
    for (const Tensor& output : outputs) {
      if (output.dtype() != DType::F32) continue;
      const Tensor sum = reduce(reshape(output, make_shape({elements(output.shape())})), ReduceKind::kSum, 0);
      loss = loss ? add(loss, sum) : sum;
    }
    if (!loss) continue;
    gradients(loss, leaves.differentiable());
    // Only *_grad ops count here: the primitives around them need cases of their own.
    for (const Node& node : leaves.graph.nodes())
      if (op_info(node.op).gradient_of) used.insert(node.op);
  }
  std::string without;
  for (const Row& row : kRows)
    if (!used.contains(row.op)) without += std::string(" ") + row.name;
  EXPECT_EQ(without, "") << "ops without cases";
}

}  // namespace
}  // namespace margay
