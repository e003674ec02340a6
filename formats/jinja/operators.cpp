// Python's operators on values, and how values are printed.
#include <cmath>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

const char* operator_text(Operator op) {
  constexpr const char* kTexts[] = {
      "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kTexts[static_cast<int>(op)];
}

[[noreturn]] void no_operation(Operator op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b})
    if (value->is_undefined()) refuse("{}", *value->get<Undefined>().why);
  refuse("{} {} {} makes no sense", type_name(a), operator_text(op), type_name(b));
}

[[noreturn]] void overflow(int64_t a, Operator op, int64_t b) {
  refuse("{} {} {} does not fit 64 bits", a, operator_text(op), b);
}

int64_t power(int64_t base, int64_t exponent) {
  const int64_t first = base;
  int64_t result = 1;
  for (int64_t left = exponent; left > 0; left >>= 1) {
    if ((left & 1) && __builtin_mul_overflow(result, base, &result)) overflow(first, Operator::kPower, exponent);
    if (left > 1 && __builtin_mul_overflow(base, base, &base)) overflow(first, Operator::kPower, exponent);
  }
  return result;
}

Value whole_arithmetic(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool wrong = false;
  switch (op) {
    case Operator::kAdd:
      wrong = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      wrong = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      wrong = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kPower:
      return Value(power(a, b));
    default:          // the quotient rounds down, the remainder has the divisor's sign
      if (b == -1) {  // the one division that may overflow
        if (op == Operator::kModulo) return Value(int64_t{0});
        wrong = __builtin_sub_overflow(int64_t{0}, a, &result);
        break;
      }
      const bool down = a % b != 0 && (a < 0) != (b < 0);
      result = op == Operator::kModulo ? a % b + (down ? b : 0) : a / b - (down ? 1 : 0);
  }
  if (wrong) overflow(a, op, b);
  return Value(result);
}

Value arithmetic(Operator op, const Value& a, const Value& b) {
  const bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b.number() == 0) refuse("division by zero");
  const bool fraction = op == Operator::kDivide || (op == Operator::kPower && b.is_whole() && b.whole() < 0);
  if (a.is_whole() && b.is_whole() && !fraction) return whole_arithmetic(op, a.whole(), b.whole());
  const double x = a.number(), y = b.number();
  switch (op) {
    case Operator::kAdd:
      return Value(x + y);
    case Operator::kSubtract:
      return Value(x - y);
    case Operator::kMultiply:
      return Value(x * y);
    case Operator::kDivide:
      return Value(x / y);
    case Operator::kFloorDivide:
      return Value(std::floor(x / y));
    case Operator::kPower:
      return Value(std::pow(x, y));
    default:
      break;
  }
  const double rest = std::fmod(x, y);
  return Value(rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest);
}

Value repeat(Heap& heap, const Value& what, int64_t times) {
  times = std::max<int64_t>(times, 0);
  if (what.is_text()) {
    const std::string& text = what.text();
    if (!text.empty() && static_cast<uint64_t>(times) > heap.limits().text / text.size()) heap.check_text(SIZE_MAX);
    std::string result;
    result.reserve(text.size() * static_cast<size_t>(times));
    for (int64_t i = 0; i < times && !text.empty(); ++i) result += text;
    return heap.string(std::move(result));
  }
  const auto& items = what.items();
  if (!items.empty() && static_cast<uint64_t>(times) > heap.limits().memory / items.size()) heap.check_items(SIZE_MAX);
  heap.check_items(items.size() * static_cast<size_t>(times));
  std::vector<Value> result;
  for (int64_t i = 0; i < times && !items.empty(); ++i) result.insert(result.end(), items.begin(), items.end());
  return heap.list(std::move(result), what.get<ListRef>()->kind);
}

bool is_plain_list(const Value& value) { return value.is<ListRef>() && value.get<ListRef>()->kind <= Sequence::kTuple; }

Value add(Heap& heap, const Value& a, const Value& b) {
  if (a.is_text() && b.is_text()) {
    heap.check_text(a.text().size() + b.text().size());
    return heap.string(a.text() + b.text());
  }
  if (is_plain_list(a) && is_plain_list(b) && a.get<ListRef>()->kind == b.get<ListRef>()->kind) {
    std::vector<Value> items = a.items();
    heap.check_items(items.size() + b.items().size());
    items.insert(items.end(), b.items().begin(), b.items().end());
    return heap.list(std::move(items), a.get<ListRef>()->kind);
  }
  no_operation(Operator::kAdd, a, b);
}

}  // namespace

Value Interpreter::binary(Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::kEqual:
      return Value(equal(heap, a, b));
    case Operator::kNotEqual:
      return Value(!equal(heap, a, b));
    case Operator::kLess:
      return Value(jinja::compare(heap, a, b) < 0);
    case Operator::kLessEqual:
      return Value(jinja::compare(heap, a, b) <= 0);
    case Operator::kGreater:
      return Value(jinja::compare(heap, a, b) > 0);
    case Operator::kGreaterEqual:
      return Value(jinja::compare(heap, a, b) >= 0);
    case Operator::kIn:
      return Value(contains(b, a));
    case Operator::kNotIn:
      return Value(!contains(b, a));
    default:
      break;
  }
  if (a.is_number() && b.is_number()) return arithmetic(op, a, b);
  if (op == Operator::kAdd) return add(heap, a, b);
  if (op == Operator::kMultiply) {
    if ((a.is_text() || is_plain_list(a)) && b.is_whole()) return repeat(heap, a, b.whole());
    if ((b.is_text() || is_plain_list(b)) && a.is_whole()) return repeat(heap, b, a.whole());
  }
  if (op == Operator::kModulo && a.is_text()) return heap.string(percent_format(heap, a.text(), b));
  no_operation(op, a, b);
}

bool Interpreter::contains(const Value& container, const Value& value) {
  if (container.is_text()) {
    if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
    if (!value.is_text()) refuse("{} in a string: only a string can be", type_name(value));
    heap.pass(container.text().size());
    return container.text().find(value.text()) != std::string::npos;
  }
  if (container.is<DictRef>()) return container.get<DictRef>()->find(value) != nullptr;
  if (!container.is<ListRef>() && !container.is_undefined()) no_operation(Operator::kIn, value, container);
  for (const Value& item : iterate(heap, container))
    if (equal(heap, item, value)) return true;
  return false;
}

namespace {

void append_value_repr(Heap& heap, std::string& out, const Value& value) {
  heap.step();
  heap.check_text(out.size());
  if (value.is_text()) {
    heap.pass(value.text().size());
    return append_repr(out, value.text());
  }
  if (value.is_undefined()) return void(out += "Undefined");
  const auto entries = [&](const auto& items, const auto& append) {
    bool first = true;
    for (const auto& item : items) {
      if (!std::exchange(first, false)) out += ", ";
      append(item);
    }
  };
  if (value.is<DictRef>()) {
    out += '{';
    entries(value.get<DictRef>()->entries, [&](const auto& entry) {
      append_value_repr(heap, out, entry.first);
      out += ": ";
      append_value_repr(heap, out, entry.second);
    });
    return void(out += '}');
  }
  if (is_plain_list(value)) {
    const bool tuple = value.get<ListRef>()->kind == Sequence::kTuple;
    out += tuple ? '(' : '[';
    entries(value.items(), [&](const Value& item) { append_value_repr(heap, out, item); });
    if (tuple && value.items().size() == 1) out += ',';
    return void(out += tuple ? ')' : ']');
  }
  out += to_text(heap, value);
}

}  // namespace

std::string to_text(Heap& heap, const Value& value) {
  if (value.is_text()) return value.text();
  if (value.is_undefined()) return {};
  if (value.is_none()) return "None";
  if (value.is<bool>()) return value.get<bool>() ? "True" : "False";
  if (value.is<int64_t>()) return fmt::format("{}", value.get<int64_t>());
  if (value.is<double>()) return float_text(value.get<double>());
  if (is_plain_list(value) || value.is<DictRef>()) return to_repr(heap, value);
  refuse("{} cannot be printed", type_name(value));
}

std::string to_repr(Heap& heap, const Value& value) {
  std::string out;
  append_value_repr(heap, out, value);
  return out;
}

}  // namespace margay::jinja
