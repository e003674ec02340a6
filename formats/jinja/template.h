// Jinja templates as chat templates use them: a bounded subset with the answers of Jinja 3.1 in Hugging Face's sandbox.
#pragma once
#include <ctime>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/jinja/value.h"

namespace margay::jinja {

struct Program;

// A parsed template. Immutable, cheap to copy, safe to share among threads.
//
// trim_blocks and lstrip_blocks are on, undefined is Jinja's default one, nothing is escaped. There are the expressions
// and filters of Jinja; the tags if, for, set, macro, call, filter, with, raw, break, continue and generation; the
// functions range, dict, namespace, raise_exception and strftime_now. Lists and dicts cannot be changed.
//
// Every error is one Error that says the template's name, the line and what; also the passing of a limit.
class Template {
 public:
  // `name` is for messages. Throws Error for what is no template.
  Template(std::string_view source, std::string name);

  using Variables = std::vector<std::pair<std::string, nlohmann::ordered_json>>;
  // The local time that strftime_now shows.
  using Clock = std::function<std::tm()>;
  std::string render(const Variables& variables, const Clock& clock, const Limits& limits = {}) const;

 private:
  std::string name_;
  std::shared_ptr<const Program> program_;
};

}  // namespace margay::jinja
