// Expressions.
#include <algorithm>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

// A function, or a method with its object.
struct Bound : Object {
  Bound(const Builtin& what, Value object) : builtin(what), self(std::move(object)) {}
  const char* type() const override { return "a function"; }
  bool callable() const override { return true; }
  Value call(Interpreter& interpreter, Arguments arguments) override {
    return run(interpreter, builtin, self, std::move(arguments));
  }
  const Builtin& builtin;
  Value self;
};

}  // namespace

Interpreter::Interpreter(const Program& program, const Limits& limits, Clock clock)
    : heap(limits), program_(program), clock_(std::move(clock)), scope_(heap.object<Scope>()) {
  heap.keep(scope_);
  const int count = static_cast<int>(program.names.size());
  // The names that tags define themselves have ids of their own where the program does not use them.
  const auto id = [&](std::string_view name, int otherwise) {
    const auto found = std::find(program.names.begin(), program.names.end(), name);
    return found == program.names.end() ? count + otherwise : static_cast<int>(found - program.names.begin());
  };
  loop_name_ = id("loop", 0);
  caller_name_ = id("caller", 1);
  varargs_name_ = id("varargs", 2);
  kwargs_name_ = id("kwargs", 3);
  for (int name = 0; name < count; ++name)
    if (const Builtin* function = find_function(program.names[name]))
      set_variable(name, Value(ObjectRef(heap.object<Bound>(*function, Value()))));
}

void Interpreter::define(std::string_view name, Value value) {
  const auto found = std::find(program_.names.begin(), program_.names.end(), name);
  if (found != program_.names.end()) set_variable(static_cast<int>(found - program_.names.begin()), std::move(value));
}

void Interpreter::set_variable(int name, Value value) {
  for (Scope::Variable& variable : scope_->variables) {
    if (variable.name != name) continue;
    variable.value = std::move(value);
    return;
  }
  scope_->variables.push_back({name, std::move(value), heap.reserve(sizeof(Scope::Variable))});
}

Value Interpreter::lookup(int name) const {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get())
    for (const Scope::Variable& variable : scope->variables)
      if (variable.name == name) return variable.value;
  return undefined(fmt::format("'{}' is undefined", program_.names[name]));
}

Value Interpreter::evaluate(const Expr& expr) {
  const Level level(*this);
  heap.step();
  line_ = expr.line;
  switch (expr.kind) {
    case ExprKind::kConstant:
      return expr.value;
    case ExprKind::kName:
      return lookup(expr.name);
    case ExprKind::kList:
    case ExprKind::kTuple:
      return list_of(expr);
    case ExprKind::kDict:
      return dict_of(expr);
    case ExprKind::kAttribute:
      return attribute_or_item(evaluate(*expr.children[0]), expr.text, expr.value);
    case ExprKind::kItem: {
      const Value object = evaluate(*expr.children[0]);
      return item(object, evaluate(*expr.children[1]));
    }
    case ExprKind::kSlice:
      return slice(expr);
    case ExprKind::kCall:
      return call_expression(expr);
    case ExprKind::kFilter:
      return filter(expr, evaluate(*expr.children[0]));
    case ExprKind::kTest:
      return Value(test(expr));
    case ExprKind::kNot:
      return Value(!truth(evaluate(*expr.children[0])));
    case ExprKind::kNegative:
      return binary(Operator::kSubtract, Value(int64_t{0}), evaluate(*expr.children[0]));
    case ExprKind::kPositive:
      return binary(Operator::kAdd, Value(int64_t{0}), evaluate(*expr.children[0]));
    case ExprKind::kBinary: {
      const Value left = evaluate(*expr.children[0]), right = evaluate(*expr.children[1]);
      line_ = expr.line;
      return binary(expr.operators[0], left, right);
    }
    case ExprKind::kCompare:
      return compare(expr);
    case ExprKind::kAnd:
    case ExprKind::kOr:
      return junction(expr);
    case ExprKind::kCondition:
      return condition(expr);
    case ExprKind::kConcat:
      return concat(expr);
  }
  return {};
}

Value Interpreter::list_of(const Expr& expr) {
  return heap.list(children(expr), expr.kind == ExprKind::kTuple ? Sequence::kTuple : Sequence::kList);
}

Value Interpreter::dict_of(const Expr& expr) {
  std::vector<std::pair<Value, Value>> entries;
  for (size_t i = 0; i < expr.children.size(); i += 2) {
    Value key = evaluate(*expr.children[i]);
    entries.emplace_back(std::move(key), evaluate(*expr.children[i + 1]));
  }
  return heap.dict(std::move(entries));
}

Value Interpreter::junction(const Expr& expr) {
  Value value;
  for (const ExprPtr& child : expr.children) {
    value = evaluate(*child);
    if (truth(value) == (expr.kind == ExprKind::kOr)) break;
  }
  return value;
}

Value Interpreter::condition(const Expr& expr) {
  if (truth(evaluate(*expr.children[0]))) return evaluate(*expr.children[1]);
  if (expr.children[2]) return evaluate(*expr.children[2]);
  return undefined("the inline if is false and has no else");
}

Value Interpreter::concat(const Expr& expr) {
  std::string text;
  for (const ExprPtr& child : expr.children) {
    text += to_text(heap, evaluate(*child));
    heap.check_text(text.size());
  }
  return heap.string(std::move(text));
}

Value Interpreter::compare(const Expr& expr) {
  Value left = evaluate(*expr.children[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.children[i + 1]);
    line_ = expr.line;
    if (!truth(binary(expr.operators[i], left, right))) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

std::vector<Value> Interpreter::children(const Expr& expr, size_t from) {
  std::vector<Value> values;
  for (size_t i = from; i < expr.children.size(); ++i) values.push_back(evaluate(*expr.children[i]));
  return values;
}

Arguments Interpreter::arguments(const Expr& expr) {
  Arguments result;
  result.positional = children(expr, 1);
  for (const auto& [name, value] : expr.named) result.named.emplace_back(name, evaluate(*value));
  if (expr.star)
    for (const Value& value : iterate(heap, evaluate(*expr.star))) result.positional.push_back(value);
  if (expr.star_star) {
    const Value all = evaluate(*expr.star_star);
    if (!all.is<DictRef>()) refuse("the argument after ** is {}, expected a dict", type_name(all));
    for (const auto& [key, value] : all.get<DictRef>()->entries) {
      if (!key.is_text()) refuse("a key of the argument after ** is {}, expected a string", type_name(key));
      result.named.emplace_back(key.text(), value);
    }
  }
  line_ = expr.line;
  return result;
}

Value Interpreter::call_expression(const Expr& expr, Value caller) {
  const Value function = evaluate(*expr.children[0]);
  Arguments values = arguments(expr);
  if (!caller.is_undefined()) values.named.emplace_back("caller", std::move(caller));
  Value result = call(function, std::move(values));
  line_ = expr.line;
  return result;
}

Value Interpreter::call(const Value& function, Arguments arguments) {
  if (function.is_undefined()) refuse("{}", *function.get<Undefined>().why);
  if (!function.is<ObjectRef>()) refuse("{} cannot be called", type_name(function));
  const ObjectRef object = function.get<ObjectRef>();  // stays, whatever the call assigns
  return object->call(*this, std::move(arguments));
}

Value Interpreter::filter(const Expr& expr, const Value& subject) {
  if (!expr.builtin) refuse("unknown filter '{}'", expr.text);
  return jinja::run(*this, *expr.builtin, subject, arguments(expr));
}

Value Interpreter::block_filters(const Expr& expr, const Value& subject) {
  return filter(expr, expr.children[0] ? block_filters(*expr.children[0], subject) : subject);
}

bool Interpreter::test(const Expr& expr) {
  if (!expr.builtin) refuse("unknown test '{}'", expr.text);
  const Value subject = evaluate(*expr.children[0]);
  return truth(jinja::run(*this, *expr.builtin, subject, arguments(expr)));
}

Value Interpreter::apply_filter(const std::string& name, const Value& value, Arguments arguments) {
  const Builtin* builtin = find_filter(name);
  if (!builtin) refuse("unknown filter '{}'", name);
  return jinja::run(*this, *builtin, value, std::move(arguments));
}

bool Interpreter::apply_test(const std::string& name, const Value& value, Arguments arguments) {
  const Builtin* builtin = find_test(name);
  if (!builtin) refuse("unknown test '{}'", name);
  return truth(jinja::run(*this, *builtin, value, std::move(arguments)));
}

namespace {

// What changes a list or a dict: Hugging Face's sandbox forbids it.
constexpr std::string_view kChanging[] = {"append", "clear",   "extend", "insert",     "pop",
                                          "remove", "reverse", "sort",   "setdefault", "update"};

Value missing(const Value& object, const std::string& name) {
  const bool container = object.is<ListRef>() || object.is<DictRef>();
  if (container && std::find(std::begin(kChanging), std::end(kChanging), name) != std::end(kChanging))
    return undefined(fmt::format("'{}' would change {}: templates cannot", name, type_name(object)));
  return undefined(fmt::format("{} has no '{}'", type_name(object), name));
}

// The item of a list or dict, or a character; nullopt when there is none.
std::optional<Value> plain_item(Heap& heap, const Value& object, const Value& key) {
  if (object.is<DictRef>()) {
    const Value* found = object.get<DictRef>()->find(key);
    return found ? std::optional(*found) : std::nullopt;
  }
  const bool sequence = object.is_text() || (object.is<ListRef>() && object.get<ListRef>()->kind <= Sequence::kRange);
  if (!sequence || !key.is_whole()) return std::nullopt;
  if (object.is_text()) heap.pass(object.text().size());
  const int64_t length = *length_of(object), wanted = key.whole(), index = wanted < 0 ? wanted + length : wanted;
  if (index < 0 || index >= length) return std::nullopt;
  if (object.is<ListRef>()) return object.items()[static_cast<size_t>(index)];
  const size_t at = byte_of_character(object.text(), index);
  return heap.string(object.text().substr(at, character_bytes(object.text()[at])));
}

}  // namespace

Value Interpreter::attribute(const Value& object, const std::string& name) {
  return attribute_or_item(object, name, heap.string(name));
}

Value Interpreter::attribute_or_item(const Value& object, const std::string& name, const Value& key) {
  if (object.is_undefined()) refuse("{}", *object.get<Undefined>().why);
  if (object.is<ObjectRef>()) {
    if (auto found = object.get<ObjectRef>()->attribute(name)) return *found;
    return missing(object, name);
  }
  if (const Builtin* method = find_method(object, name)) return Value(ObjectRef(heap.object<Bound>(*method, object)));
  if (auto found = plain_item(heap, object, key)) return *found;
  return missing(object, name);
}

Value Interpreter::item(const Value& object, const Value& key) {
  if (object.is_undefined()) refuse("{}", *object.get<Undefined>().why);
  if (auto found = plain_item(heap, object, key)) return *found;
  if (!key.is_text()) return undefined(fmt::format("{} has no item {}", type_name(object), to_repr(heap, key)));
  if (object.is<ObjectRef>()) return attribute_or_item(object, key.text(), key);
  if (const Builtin* method = find_method(object, key.text()))
    return Value(ObjectRef(heap.object<Bound>(*method, object)));
  return missing(object, key.text());
}

Value Interpreter::slice(const Expr& expr) {
  const Value object = evaluate(*expr.children[0]);
  std::optional<int64_t> bounds[3];  // start, stop, step
  for (size_t i = 0; i < 3; ++i) {
    if (!expr.children[i + 1]) continue;
    const Value value = evaluate(*expr.children[i + 1]);
    line_ = expr.line;
    if (value.is_none()) continue;
    if (!value.is_whole()) refuse("a slice's bound is {}, expected an integer", type_name(value));
    bounds[i] = value.whole();
  }
  if (object.is_undefined()) refuse("{}", *object.get<Undefined>().why);
  const bool sequence = object.is_text() || (object.is<ListRef>() && object.get<ListRef>()->kind <= Sequence::kRange);
  if (!sequence) return undefined(fmt::format("{} has no slices", type_name(object)));
  const int64_t length = *length_of(object), step = bounds[2].value_or(1);
  if (step == 0) refuse("a slice's step is 0");
  // Python's rules: negative bounds count from the end; then everything is clipped.
  const auto clip = [&](std::optional<int64_t> bound, int64_t otherwise) {
    if (!bound) return otherwise;
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;
    return std::clamp(*bound < 0 ? std::max(*bound, -length - 1) + length : *bound, low, high);
  };
  const int64_t start = clip(bounds[0], step > 0 ? 0 : length - 1), stop = clip(bounds[1], step > 0 ? length : -1);
  if (object.is_text() && step == 1) {
    const std::string& text = object.text();
    heap.pass(text.size());
    const size_t begin = byte_of_character(text, start);
    const size_t end = begin + byte_of_character(std::string_view(text).substr(begin), stop - start);
    return heap.string(text.substr(begin, std::max(begin, end) - begin));
  }
  const std::vector<Value> all = iterate(heap, object);
  std::vector<Value> items;
  const int64_t stride = std::clamp(step, -length - 1, length + 1);  // so that no sum passes 64 bits
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += stride) items.push_back(all[static_cast<size_t>(i)]);
  if (!object.is_text()) return heap.list(std::move(items), object.get<ListRef>()->kind);
  std::string text;
  for (const Value& item : items) text += item.text();
  return heap.string(std::move(text));
}

}  // namespace margay::jinja
