// A parsed template.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "formats/jinja/value.h"

namespace margay::jinja {

struct Builtin;
struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

enum class ExprKind {
  kConstant,   // value
  kName,       // name
  kList,       // children
  kTuple,      // children
  kDict,       // children: key, value, key, value...
  kAttribute,  // children[0].text
  kItem,       // children[0][children[1]]
  kSlice,      // children[0][children[1]:children[2]:children[3]], absent ones are null
  kCall,       // children[0](children[1...], named)
  kFilter,     // children[0] | text(children[1...], named)
  kTest,       // children[0] is text(children[1...], named)
  kNot,
  kNegative,
  kPositive,
  kBinary,     // children[0] operators[0] children[1]
  kCompare,    // children[0] operators[0] children[1] operators[1] children[2]...
  kAnd,        // of all children
  kOr,         // of all children
  kCondition,  // children[1] if children[0] else children[2], which may be null
  kConcat,     // children as text
};

enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expr {
  ExprKind kind = ExprKind::kConstant;
  int line = 0;
  int depth = 1;  // expressions within expressions
  Value value;
  int name = -1;  // index into Program::names
  std::string text;
  const Builtin* builtin = nullptr;  // of a filter or test; null: unknown, an error where it is evaluated
  std::vector<Operator> operators;
  std::vector<ExprPtr> children;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, star_star;  // *positional and **named of a call
};

// What {% set %}, {% for %} and {% with %} assign to: a name, a namespace's attribute, or a tuple of targets.
struct Target {
  int line = 0;
  int name = -1;
  std::string attribute;
  std::vector<Target> parts;  // a tuple, when not empty
};

struct Stmt;
using Block = std::vector<std::unique_ptr<Stmt>>;

enum class StmtKind {
  kText,        // text
  kPrint,       // expr
  kIf,          // branches, otherwise
  kFor,         // target in expr if condition: body, otherwise
  kSet,         // target = expr
  kSetBlock,    // target = body, through expr's filters when there is an expr
  kMacro,       // name(parameters): body
  kCall,        // expr is a call; body with parameters is its caller
  kFilter,      // expr over body
  kWith,        // assignments, body
  kGeneration,  // body
  kBreak,
  kContinue,
};

struct Parameter {
  int name = -1;
  std::string text;
  ExprPtr otherwise;  // null: none
};

struct Stmt {
  StmtKind kind = StmtKind::kText;
  int line = 0;
  std::string text;  // of a macro: its name
  Target target;
  ExprPtr expr, condition;
  std::vector<std::pair<ExprPtr, Block>> branches;
  std::vector<std::pair<Target, ExprPtr>> assignments;
  std::vector<Parameter> parameters;
  bool recursive = false;                          // for
  bool uses_varargs = false, uses_kwargs = false;  // a macro or call block: its body reads these names
  bool uses_caller = false;
  Block body, otherwise;
};

struct Program {
  std::vector<std::string> names;
  Block body;
};

}  // namespace margay::jinja
