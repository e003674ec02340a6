// Runs a program.
#pragma once
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "formats/jinja/ast.h"
#include "formats/jinja/builtins.h"

namespace margay::jinja {

// The variables of a tag's body, within those of what surrounds it.
struct Scope : Object {
  std::shared_ptr<Scope> parent;
  struct Variable {
    int name;  // index into Program::names
    Value value;
    Charge charge;
  };
  std::vector<Variable> variables;

  const char* type() const override { return "a scope"; }
  void clear() override {
    variables.clear();
    parent.reset();
  }
};
using ScopeRef = std::shared_ptr<Scope>;

// Text on its way out, within the heap's limits.
class Output {
 public:
  explicit Output(Heap& heap) : heap_(heap) {}
  void append(std::string_view text);
  std::string take();

 private:
  Heap& heap_;
  std::string text_;
  std::vector<Charge> charges_;  // of the text's growth
  size_t charged_ = 0;
};

class Interpreter {
 public:
  using Clock = std::function<std::tm()>;
  Interpreter(const Program& program, const Limits& limits, Clock clock);

  Heap heap;
  void define(std::string_view name, Value value);  // a variable; one that the program does not name is dropped
  std::string run();
  int line() const { return line_; }  // where evaluation is, or where it failed
  std::tm now() const { return clock_(); }

  // For builtins. All throw Failure.
  Value call(const Value& function, Arguments arguments);
  Value apply_filter(const std::string& name, const Value& value, Arguments arguments);
  bool apply_test(const std::string& name, const Value& value, Arguments arguments);
  Value attribute(const Value& object, const std::string& name);  // object.name
  Value item(const Value& object, const Value& key);              // object[key]
  Value binary(Operator op, const Value& a, const Value& b);
  bool contains(const Value& container, const Value& value);

  // For macros and loops.
  Value run_macro(const Stmt& stmt, const ScopeRef& defined_in, Arguments arguments);
  Value run_loop(const Stmt& stmt, const ScopeRef& around, const Value& iterable, int depth);

 private:
  enum class Flow { kOn, kBreak, kContinue };
  // Guards recursion.
  class Level {
   public:
    explicit Level(Interpreter& interpreter);
    ~Level() { --interpreter_.depth_; }

   private:
    Interpreter& interpreter_;
  };
  class In;  // a scope, for as long as it lives

  Flow execute(const Block& block, Output& out);
  Flow execute(const Stmt& stmt, Output& out);
  Flow branch(const Stmt& stmt, Output& out);
  Flow with(const Stmt& stmt, Output& out);
  Flow loop(const Stmt& stmt, const Value& iterable, int depth, Output& out);
  void call_block(const Stmt& stmt, Output& out);
  Value capture(const Block& body);  // what it prints, in a scope of its own
  void assign(const Target& target, const Value& value);
  void set_variable(int name, Value value);  // in the innermost scope
  Value macro(const Stmt& stmt);

  Value evaluate(const Expr& expr);
  Value lookup(int name) const;
  Value list_of(const Expr& expr);
  Value dict_of(const Expr& expr);
  Value concat(const Expr& expr);
  Value junction(const Expr& expr);
  Value condition(const Expr& expr);
  Value attribute_or_item(const Value& object, const std::string& name, const Value& key);
  Value compare(const Expr& expr);
  Value slice(const Expr& expr);
  Value call_expression(const Expr& expr, Value caller = {});
  Value filter(const Expr& expr, const Value& subject);
  Value block_filters(const Expr& expr, const Value& subject);  // the filters of a set or filter block
  bool test(const Expr& expr);
  std::vector<Value> children(const Expr& expr, size_t from = 0);
  Arguments arguments(const Expr& expr);

  const Program& program_;
  Clock clock_;
  ScopeRef scope_;
  int line_ = 0, depth_ = 0;
  int loop_name_ = -1, caller_name_ = -1, varargs_name_ = -1, kwargs_name_ = -1;
};

}  // namespace margay::jinja
