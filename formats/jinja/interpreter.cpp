// Statements.
#include "formats/jinja/interpreter.h"

#include <algorithm>

namespace margay::jinja {
namespace {

// What {% macro %} makes, and the caller of a call block.
struct Macro : Object {
  Macro(const Stmt& macro_stmt, ScopeRef around) : stmt(macro_stmt), scope(std::move(around)) {}
  const char* type() const override { return "a macro"; }
  bool callable() const override { return true; }
  Value call(Interpreter& interpreter, Arguments arguments) override {
    return interpreter.run_macro(stmt, scope, std::move(arguments));
  }
  void clear() override { scope.reset(); }
  const Stmt& stmt;
  ScopeRef scope;
};

// The variable "loop".
struct Loop : Object {
  Loop(Heap& owner, const Stmt& loop_stmt, ScopeRef around, Value all, int level)
      : heap(owner), stmt(loop_stmt), scope(std::move(around)), items(std::move(all)), depth(level) {}

  const char* type() const override { return "a loop"; }
  bool callable() const override { return true; }
  Value call(Interpreter& interpreter, Arguments arguments) override {
    if (!stmt.recursive) refuse("the loop is not recursive: it cannot be called");
    if (arguments.positional.size() != 1 || !arguments.named.empty()) refuse("loop() takes one argument");
    return interpreter.run_loop(stmt, scope, arguments.positional[0], depth + 1);
  }

  std::optional<Value> attribute(std::string_view name) override {
    const auto count = static_cast<int64_t>(items.items().size());
    if (name == "index") return Value(index + 1);
    if (name == "index0") return Value(index);
    if (name == "revindex") return Value(count - index);
    if (name == "revindex0") return Value(count - index - 1);
    if (name == "first") return Value(index == 0);
    if (name == "last") return Value(index + 1 == count);
    if (name == "length") return Value(count);
    if (name == "depth") return Value(int64_t{depth} + 1);
    if (name == "depth0") return Value(int64_t{depth});
    if (name == "previtem") return index > 0 ? items.items()[index - 1] : undefined("there is no previous item");
    if (name == "nextitem") return index + 1 < count ? items.items()[index + 1] : undefined("there is no next item");
    for (const char* method : {"cycle", "changed"})
      if (name == method) return Value(ObjectRef(heap.object<Method>(*this, method)));
    return std::nullopt;
  }

  // loop.cycle and loop.changed. It is called while its loop runs.
  struct Method : Object {
    Method(Loop& of, std::string_view called) : loop(of), name(called) {}
    const char* type() const override { return "a method of loop"; }
    bool callable() const override { return true; }
    Value call(Interpreter&, Arguments arguments) override {
      const auto& values = arguments.positional;
      if (!arguments.named.empty() || values.empty()) refuse("loop.{} takes values without names", name);
      if (name == "cycle") return values[static_cast<size_t>(loop.index) % values.size()];
      const Value now = loop.heap.list(values, Sequence::kTuple);
      if (!loop.last_values.is_undefined() && equal(loop.heap, loop.last_values, now)) return Value(false);
      loop.last_values = now;
      return Value(true);
    }
    Loop& loop;
    std::string_view name;
  };

  Heap& heap;
  const Stmt& stmt;
  ScopeRef scope;  // around the loop
  Value items;
  int depth;
  int64_t index = 0;
  Value last_values;  // of changed()
};

}  // namespace

void Output::append(std::string_view text) {
  heap_.check_text(text_.size() + text.size());
  heap_.step(static_cast<int64_t>(text.size() / 64));
  text_ += text;
  if (text_.size() > charged_) {
    const size_t growth = std::max(text_.size() - charged_, text_.size() / 2 + 64);
    charges_.push_back(heap_.reserve(growth));
    charged_ += growth;
  }
}

std::string Output::take() {
  charges_.clear();
  charged_ = 0;
  return std::move(text_);
}

Interpreter::Level::Level(Interpreter& interpreter) : interpreter_(interpreter) {
  if (interpreter_.depth_ >= interpreter_.heap.limits().depth)
    refuse("calls and tags nest deeper than {} (a macro without end?)", interpreter_.heap.limits().depth);
  ++interpreter_.depth_;
}

class Interpreter::In {
 public:
  In(Interpreter& interpreter, ScopeRef parent) : interpreter_(interpreter), outer_(interpreter.scope_) {
    interpreter_.scope_ = interpreter_.heap.object<Scope>();
    interpreter_.scope_->parent = std::move(parent);
  }
  explicit In(Interpreter& interpreter) : In(interpreter, interpreter.scope_) {}
  ~In() { interpreter_.scope_ = std::move(outer_); }

 private:
  Interpreter& interpreter_;
  ScopeRef outer_;
};

std::string Interpreter::run() {
  Output out(heap);
  execute(program_.body, out);
  return out.take();
}

Interpreter::Flow Interpreter::execute(const Block& block, Output& out) {
  const Level level(*this);
  for (const auto& stmt : block)
    if (const Flow flow = execute(*stmt, out); flow != Flow::kOn) return flow;
  return Flow::kOn;
}

Interpreter::Flow Interpreter::execute(const Stmt& stmt, Output& out) {
  heap.step();
  line_ = stmt.line;
  switch (stmt.kind) {
    case StmtKind::kText:
      out.append(stmt.text);
      break;
    case StmtKind::kPrint: {
      const Value value = evaluate(*stmt.expr);
      if (value.is_text()) out.append(value.text());
      else out.append(to_text(heap, value));
      break;
    }
    case StmtKind::kIf:
      return branch(stmt, out);
    case StmtKind::kFor:
      return loop(stmt, evaluate(*stmt.expr), 0, out);
    case StmtKind::kSet:
      assign(stmt.target, evaluate(*stmt.expr));
      break;
    case StmtKind::kSetBlock: {
      Value text = capture(stmt.body);
      assign(stmt.target, stmt.expr ? block_filters(*stmt.expr, text) : text);
      break;
    }
    case StmtKind::kMacro:
      set_variable(stmt.target.name, macro(stmt));
      break;
    case StmtKind::kCall:
      call_block(stmt, out);
      break;
    case StmtKind::kFilter:
      out.append(to_text(heap, block_filters(*stmt.expr, capture(stmt.body))));
      break;
    case StmtKind::kWith:
      return with(stmt, out);
    case StmtKind::kGeneration:
      out.append(capture(stmt.body).text());
      break;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::branch(const Stmt& stmt, Output& out) {
  for (const auto& [condition, body] : stmt.branches)
    if (truth(evaluate(*condition))) return execute(body, out);
  return execute(stmt.otherwise, out);
}

Interpreter::Flow Interpreter::with(const Stmt& stmt, Output& out) {
  std::vector<Value> values;
  for (const auto& [target, expr] : stmt.assignments) values.push_back(evaluate(*expr));
  const In scope(*this);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.assignments[i].first, values[i]);
  return execute(stmt.body, out);
}

Interpreter::Flow Interpreter::loop(const Stmt& stmt, const Value& iterable, int depth, Output& out) {
  std::vector<Value> items = iterate(heap, iterable);
  if (stmt.condition) {
    std::erase_if(items, [&](const Value& item) {
      const In scope(*this);
      assign(stmt.target, item);
      return !truth(evaluate(*stmt.condition));
    });
  }
  if (items.empty()) {
    const In scope(*this);
    return execute(stmt.otherwise, out);
  }
  const auto state = heap.object<Loop>(heap, stmt, scope_, heap.list(std::move(items), Sequence::kTuple), depth);
  for (const Value& item : state->items.items()) {
    heap.step();
    const In scope(*this);
    set_variable(loop_name_, Value(ObjectRef(state)));
    assign(stmt.target, item);
    if (execute(stmt.body, out) == Flow::kBreak) break;
    ++state->index;
  }
  return Flow::kOn;
}

Value Interpreter::run_loop(const Stmt& stmt, const ScopeRef& around, const Value& iterable, int depth) {
  const Level level(*this);
  const In scope(*this, around);
  Output out(heap);
  loop(stmt, iterable, depth, out);
  return heap.string(out.take());
}

Value Interpreter::capture(const Block& body) {
  const In scope(*this);
  Output out(heap);
  execute(body, out);
  return heap.string(out.take());
}

Value Interpreter::macro(const Stmt& stmt) {
  heap.keep(scope_);  // it will hold the macro, which holds it
  return Value(ObjectRef(heap.object<Macro>(stmt, scope_)));
}

void Interpreter::call_block(const Stmt& stmt, Output& out) {
  const Value text = call_expression(*stmt.expr, macro(stmt));
  line_ = stmt.line;
  out.append(to_text(heap, text));
}

Value Interpreter::run_macro(const Stmt& stmt, const ScopeRef& defined_in, Arguments arguments) {
  const Level level(*this);
  const size_t count = stmt.parameters.size();
  if (arguments.positional.size() > count && !stmt.uses_varargs)
    refuse("macro '{}' takes at most {} arguments, it got {}", stmt.text, count, arguments.positional.size());
  std::vector<std::optional<Value>> values(count);
  for (size_t i = 0; i < std::min(count, arguments.positional.size()); ++i) values[i] = arguments.positional[i];
  Value caller;
  std::vector<std::pair<Value, Value>> others;
  for (auto& [name, value] : arguments.named) {
    const auto found = std::find_if(stmt.parameters.begin(), stmt.parameters.end(),
                                    [&, &key = name](const Parameter& parameter) { return parameter.text == key; });
    if (found != stmt.parameters.end()) {
      auto& place = values[static_cast<size_t>(found - stmt.parameters.begin())];
      if (place) refuse("macro '{}' got its argument '{}' twice", stmt.text, name);
      place = std::move(value);
    } else if (name == "caller" && stmt.uses_caller) {
      caller = std::move(value);
    } else if (stmt.uses_kwargs) {
      others.emplace_back(heap.string(name), std::move(value));
    } else {
      refuse("macro '{}' has no parameter '{}'", stmt.text, name);
    }
  }
  const In scope(*this, defined_in);
  for (size_t i = 0; i < count; ++i) {
    const Parameter& parameter = stmt.parameters[i];
    if (!values[i] && parameter.otherwise) values[i] = evaluate(*parameter.otherwise);
    set_variable(parameter.name, values[i] ? std::move(*values[i])
                                           : undefined(fmt::format("parameter '{}' was not provided", parameter.text)));
  }
  if (stmt.uses_caller && !caller.is_undefined()) set_variable(caller_name_, caller);
  if (stmt.uses_kwargs) set_variable(kwargs_name_, heap.dict(std::move(others)));
  if (stmt.uses_varargs) {
    auto& all = arguments.positional;
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(count, all.size())));
    set_variable(varargs_name_, heap.list(std::move(all), Sequence::kTuple));
  }
  Output out(heap);
  execute(stmt.body, out);
  return heap.string(out.take());
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.parts.empty()) {
    const std::vector<Value> items = iterate(heap, value);
    if (items.size() != target.parts.size()) refuse("{} values for {} names", items.size(), target.parts.size());
    for (size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
    return;
  }
  if (target.attribute.empty()) return set_variable(target.name, value);
  const Value object = lookup(target.name);
  line_ = target.line;
  if (!object.is<ObjectRef>() || !object.get<ObjectRef>()->set_attribute(target.attribute, value))
    refuse("cannot set {}.{}: {} is {}, only a namespace's attributes can be set", program_.names[target.name],
           target.attribute, program_.names[target.name], type_name(object));
}

}  // namespace margay::jinja
