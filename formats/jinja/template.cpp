#include "formats/jinja/template.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/jinja/interpreter.h"
#include "formats/jinja/parser.h"
#include "formats/utf8.h"

namespace margay::jinja {
namespace {

constexpr size_t kMaxSource = size_t{1} << 20;  // bytes; real templates have some thousands

// What the template says may have line ends and be long: an error is one line.
std::string one_line(std::string text) {
  constexpr size_t kLongest = 300;
  if (text.size() > kLongest) text = repair_utf8(text.substr(0, kLongest)) + "...";
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return text;
}

}  // namespace

Template::Template(std::string_view source, std::string name) : name_(std::move(name)) {
  require(source.size() <= kMaxSource, "{}: has {} bytes, a template has at most {}", name_, source.size(), kMaxSource);
  require(is_utf8(source), "{}: is not valid UTF-8", name_);
  try {
    program_ = std::make_shared<const Program>(parse(source));
  } catch (const Failure& failure) {
    fail("{}: line {}: {}", name_, failure.line, one_line(failure.message));
  }
}

std::string Template::render(const Variables& variables, const Clock& clock, const Limits& limits) const {
  Interpreter interpreter(*program_, limits, clock);
  try {
    for (const auto& [name, value] : variables) interpreter.define(name, value_from_json(interpreter.heap, value));
    return interpreter.run();
  } catch (const Failure& failure) {
    fail("{}: line {}: {}", name_, interpreter.line(), one_line(failure.message));
  }
}

}  // namespace margay::jinja
