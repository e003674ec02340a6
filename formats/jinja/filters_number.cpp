// Filters on numbers.
#include <cmath>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

double number_of(const Value& value, const char* filter) {
  if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
  if (!value.is_number()) refuse("{} of {}, expected a number", filter, type_name(value));
  return value.number();
}

Value absolute(Call& call) {
  const double number = number_of(call.subject, "abs");
  if (!call.subject.is_whole()) return Value(std::abs(number));
  return call.subject.whole() < 0 ? call.interpreter.binary(Operator::kSubtract, Value(int64_t{0}), call.subject)
                                  : Value(call.subject.whole());
}

std::optional<int64_t> truncated(double number) {
  if (!(std::abs(number) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(number);
}

Value to_whole(Call& call) {
  const Value& value = call.subject;
  if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
  std::optional<int64_t> number;
  if (value.is_whole()) number = value.whole();
  if (value.is<double>()) number = truncated(value.number());
  if (value.is_text()) {
    const int64_t base = call.whole(1, 10);
    if (base != 0 && (base < 2 || base > 36)) refuse("int: base is {}, expected 0 or 2 to 36", base);
    number = parse_whole(value.text(), static_cast<int>(base));
    if (const auto fraction = parse_float(value.text()); !number && fraction) number = truncated(*fraction);
  }
  if (number) return Value(*number);
  return call.has(0) ? call[0] : Value(int64_t{0});
}

Value to_float(Call& call) {
  const Value& value = call.subject;
  if (value.is_undefined()) refuse("{}", *value.get<Undefined>().why);
  if (value.is_number()) return Value(value.number());
  if (value.is_text())
    if (const auto number = parse_float(value.text())) return Value(*number);
  return call.has(0) ? call[0] : Value(0.0);
}

Value round(Call& call) {
  const double number = number_of(call.subject, "round");
  const int64_t precision = call.whole(0, 0);
  const std::string method = call.has(1) ? call.text(1) : "common";
  if (precision < -300 || precision > 300) refuse("round: precision is {}, expected -300 to 300", precision);
  if (method != "common" && method != "ceil" && method != "floor")
    refuse("round: method '{}', expected common, ceil or floor", method);
  if (method == "common" && call.subject.is_whole() && precision >= 0) return Value(call.subject.whole());
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method != "common")
    return Value((method == "ceil" ? std::ceil(number * scale) : std::floor(number * scale)) / scale);
  // Python rounds the exact value, halves to even: as the printing of decimals does.
  double rounded = number;
  if (precision >= 0) rounded = *parse_float(fmt::format("{:.{}f}", number, precision));
  else
    rounded = std::nearbyint(number / std::pow(10.0, static_cast<double>(-precision))) *
              std::pow(10.0, static_cast<double>(-precision));
  if (call.subject.is_whole()) return Value(static_cast<int64_t>(rounded));
  return Value(rounded);
}

constexpr Builtin kFilters[] = {
    {"abs", "", absolute},
    {"float", "default?", to_float},
    {"int", "default? base?", to_whole},
    {"round", "precision? method?", round},
};

}  // namespace

std::span<const Builtin> number_filters() { return kFilters; }

}  // namespace margay::jinja
