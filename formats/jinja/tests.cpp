// The tests of "is".
#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

Value yes(bool answer) { return Value(answer); }

bool remainder_is(Call& call, const Value& divisor, int64_t wanted) {
  if (call.subject.is_text()) refuse("a test of a string, expected a number");  // % would format it
  return equal(call.heap, call.interpreter.binary(Operator::kModulo, call.subject, divisor), Value(wanted));
}

Value boolean(Call& call) { return yes(call.subject.is<bool>()); }
Value defined(Call& call) { return yes(!call.subject.is_undefined()); }
Value is_undefined(Call& call) { return yes(call.subject.is_undefined()); }
Value none(Call& call) { return yes(call.subject.is_none()); }
Value is_true(Call& call) { return yes(call.subject.is<bool>() && call.subject.get<bool>()); }
Value is_false(Call& call) { return yes(call.subject.is<bool>() && !call.subject.get<bool>()); }
Value integer(Call& call) { return yes(call.subject.is<int64_t>()); }
Value is_float(Call& call) { return yes(call.subject.is<double>()); }
Value number(Call& call) { return yes(call.subject.is_number()); }
Value string(Call& call) { return yes(call.subject.is_text()); }
Value mapping(Call& call) { return yes(call.subject.is<DictRef>()); }
Value escaped(Call&) { return yes(false); }
Value is_callable(Call& call) { return yes(call.subject.is<ObjectRef>() && call.subject.get<ObjectRef>()->callable()); }

// Undefined is both, as in Jinja: it has a length and no items.
Value iterable(Call& call) {
  return yes(call.subject.is_undefined() || call.subject.is_text() || call.subject.is<ListRef>() ||
             call.subject.is<DictRef>());
}
Value sequence(Call& call) {
  if (call.subject.is<ListRef>()) return yes(call.subject.get<ListRef>()->kind <= Sequence::kRange);
  return yes(call.subject.is_undefined() || call.subject.is_text() || call.subject.is<DictRef>());
}

Value lower(Call& call) { return yes(is_lower_text(to_text(call.heap, call.subject))); }
Value upper(Call& call) { return yes(is_upper_text(to_text(call.heap, call.subject))); }
Value odd(Call& call) { return yes(remainder_is(call, Value(int64_t{2}), 1)); }
Value even(Call& call) { return yes(remainder_is(call, Value(int64_t{2}), 0)); }
Value divisible_by(Call& call) { return yes(remainder_is(call, call[0], 0)); }

Value same_as(Call& call) {
  const Value &a = call.subject, &b = call[0];
  const bool both_bool = a.is<bool>() == b.is<bool>();
  return yes(both_bool && type_name(a) == type_name(b) && equal(call.heap, a, b));
}

Value in(Call& call) { return yes(call.interpreter.contains(call[0], call.subject)); }
Value is_filter(Call& call) { return yes(call.subject.is_text() && find_filter(call.subject.text())); }
Value is_test(Call& call) { return yes(call.subject.is_text() && find_test(call.subject.text())); }

template <Operator kOperator>
Value compares(Call& call) {
  return call.interpreter.binary(kOperator, call.subject, call[0]);
}

constexpr Builtin kTests[] = {
    {"boolean", "", boolean},
    {"callable", "", is_callable},
    {"defined", "", defined},
    {"divisibleby", "num", divisible_by},
    {"eq equalto ==", "other", compares<Operator::kEqual>},
    {"escaped", "", escaped},
    {"even", "", even},
    {"false", "", is_false},
    {"filter", "", is_filter},
    {"float", "", is_float},
    {"ge >=", "other", compares<Operator::kGreaterEqual>},
    {"gt greaterthan >", "other", compares<Operator::kGreater>},
    {"in", "seq", in},
    {"integer", "", integer},
    {"iterable", "", iterable},
    {"le <=", "other", compares<Operator::kLessEqual>},
    {"lower", "", lower},
    {"lt lessthan <", "other", compares<Operator::kLess>},
    {"mapping", "", mapping},
    {"ne !=", "other", compares<Operator::kNotEqual>},
    {"none", "", none},
    {"number", "", number},
    {"odd", "", odd},
    {"sameas", "other", same_as},
    {"sequence", "", sequence},
    {"string", "", string},
    {"test", "", is_test},
    {"true", "", is_true},
    {"undefined", "", is_undefined},
    {"upper", "", upper},
};

}  // namespace

std::span<const Builtin> tests() { return kTests; }

}  // namespace margay::jinja
