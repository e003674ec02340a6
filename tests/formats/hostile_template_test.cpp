// Templates that are broken or hostile: each ends in a text or one Error, in bounded time and memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "formats/chat_template.h"
#include "tests/peak_growth.h"
#include "tests/test_data.h"

namespace margay {
namespace {

using Json = nlohmann::ordered_json;

Json talk() {
  return Json::parse(R"([{"role": "system", "content": "Be <terse>."}, {"role": "user", "content": "ünï 你好"},
                         {"role": "assistant", "content": "Hello!", "tool_calls": [{"name": "f", "arguments": {"a": [1]}}]}])");
}

// The text, or the error; both bounded.
std::string outcome(const std::string& text, const jinja::Limits& limits = {}) {
  ChatOptions options;
  options.bos = "<s>";
  options.eos = "</s>";
  options.limits = limits;
  try {
    return ChatTemplate(text, "t").render(talk(), options);
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_TRUE(message.starts_with("t: ")) << message;
    EXPECT_LT(message.size(), 400u);
    return message;
  }
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

void expect_refused(const std::string& text, const std::string& why) {
  const std::string what = outcome(text);
  EXPECT_NE(what.find(why), std::string::npos) << text.substr(0, 100) << " gives " << what.substr(0, 200);
}

TEST(HostileTemplate, EndlessRecursion) {
  expect_refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nest deeper");
  expect_refused("{% macro a(x) %}{{ b(x) }}{% endmacro %}{% macro b(x) %}{{ a(x ~ 'x') }}{% endmacro %}{{ a('') }}",
                 "nest deeper");
  expect_refused("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}", "nest deeper");
  expect_refused("{% macro m(x=m()) %}{% endmacro %}{{ m() }}", "nest deeper");
  expect_refused("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nest deeper");
  expect_refused("{% set ns = namespace() %}{% macro m() %}{{ ns.f() }}{% endmacro %}{% set ns.f = m %}{{ m() }}",
                 "nest deeper");
}

TEST(HostileTemplate, EndlessWork) {
  expect_refused("{% for i in range(10**9) %}{% endfor %}", "range");
  expect_refused("{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}", "more than");
  expect_refused("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}", "steps");
  expect_refused("{% set x = [1] %}" + repeated("{% set x = [x, x] %}", 90) + "{{ x == [x] or x == x[:] }}", "steps");
}

TEST(HostileTemplate, ValuesThatGrow) {
  expect_refused("{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
                 "bytes");
  expect_refused("{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
                 "bytes");
  expect_refused("{% set ns = namespace(s=1) %}{% for i in range(1000) %}{% set ns.s = [ns.s] %}{% endfor %}",
                 "nest deeper");
  expect_refused("{{ 'x' * 10**12 }}", "bytes");
  expect_refused("{{ [1] * 10**12 }}", "bytes");
  expect_refused("{{ 9 ** 99 }}", "64 bits");
  expect_refused("{{ 'x' | center(10**12) }}", "bytes");
  expect_refused("{{ 'x'.ljust(10**12) }}", "bytes");
  expect_refused("{{ 'x'.zfill(10**12) }}", "bytes");
  expect_refused("{{ 'x' | indent(10**12, true) }}", "bytes");
  expect_refused("{{ [[1]] | tojson(indent=10**12) }}", "bytes");
  expect_refused("{{ '%99999999999d' | format(1) }}", "width");
  expect_refused("{{ [1] | batch(10**12, 0) | list }}", "bytes");
  expect_refused("{{ [1] | slice(10**12) | list }}", "bytes");
  expect_refused("{{ ('x' * 10**6) | replace('', 'y' * 1000) }}", "bytes");
  expect_refused("{{ ('x' * 10**6).replace('x', 'y' * 1000) }}", "bytes");
  expect_refused("{{ ('x' * 10**6) | list | join('y' * 1000) }}", "bytes");
  expect_refused("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "bytes");
  expect_refused("{% set x = 'xxxxxxxxxx' %}" + repeated("{% set x = [x, x] %}", 60) + "{{ x }}", "bytes");
  expect_refused("{% set x = 'xxxxxxxxxx' %}" + repeated("{% set x = [x, x] %}", 60) + "{{ x | tojson }}", "bytes");
  expect_refused("{% set x = (1,) %}" + repeated("{% set x = (x, x) %}", 60) + "{{ {x: 1} }}", "bytes");
}

TEST(HostileTemplate, DeepText) {
  expect_refused("{{ " + repeated("(", 100000) + repeated(")", 100000) + " }}", "nests deeper");
  expect_refused("{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}", "nests deeper");
  expect_refused("{{ " + repeated("-", 100000) + "1 }}", "nests deeper");
  expect_refused("{{ 1" + repeated("+1", 100000) + " }}", "nests deeper");
  expect_refused("{{ x" + repeated(".x", 100000) + " }}", "nests deeper");
  expect_refused("{{ x" + repeated("|trim", 100000) + " }}", "nests deeper");
  expect_refused("{{ " + repeated("1 if 1 else ", 50000) + "1 }}", "nests deeper");
  expect_refused(repeated("{% if 1 %}", 100000), "nest deeper");
  expect_refused("{% for " + repeated("(", 100000) + repeated(")", 100000) + " %}", "nest deeper");
  expect_refused(std::string(2 << 20, 'x'), "bytes");
  EXPECT_EQ(outcome("{{ " + repeated("not ", 100000) + "1 }}"), "True");
  EXPECT_EQ(outcome("{{ ''" + repeated(" ~ ''", 100000) + " }}"), "");
  EXPECT_EQ(outcome(repeated("{# c #}", 100000)), "");
}

// Cycles, through namespaces and macros, are freed: the address sanitizer would tell.
TEST(HostileTemplate, CyclesOfValues) {
  EXPECT_EQ(outcome("{% set a = namespace() %}{% set a.a = a %}{% set a.l = [a] %}{% macro m() %}{% endmacro %}{% set "
                    "a.m = m %}x"),
            "x");
  expect_refused(
      "{% set ns = namespace(x=0) %}{% for i in range(99999) %}{% for j in range(99999) %}{% set ns.x = "
      "namespace(y=ns.x) %}"
      "{% endfor %}{% endfor %}",
      "memory");
}

// Field notes, CVE-2024-34359: a template in a model's metadata reached Python's objects and ran code.
TEST(HostileTemplate, Cve202434359TemplateReachesNothingButItsValues) {
  for (const char* text :
       {"{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ [].__class__.__base__ }}", "{{ {}.__class__.__init__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{{ self.__init__.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}", "{{ range.__self__.x }}", "{{ lipsum.__globals__['os'].popen('id') }}",
        "{% for c in [].__class__.__base__.__subclasses__() %}{% endfor %}", "{{ messages.__class__.x }}",
        "{{ ''['__class__']['x'] }}", "{{ '' | attr('__class__') | attr('__mro__') }}",
        "{{ '{0.__class__}'.format(1) }}", "{{ namespace(__class__=1).__class__.x.y }}"})
    EXPECT_TRUE(outcome(text).starts_with("t: line 1: ")) << text << " gives " << outcome(text);
}

// Field notes on chat templates: an unknown function fell back to another format; raise_exception left half a text.
TEST(HostileTemplate, NoSilentFallbackAndNoHalfText) {
  expect_refused("{{ bos_token }}{{ date_today() }}", "'date_today' is undefined");
  expect_refused("half of it {{ raise_exception('no') }}", "t: line 1: the template refuses: no");
}

TEST(HostileTemplate, MutatedTemplatesEndInATextOrAnError) {
  std::vector<std::string> seeds;
  for (const std::string_view name : chat_template_names()) seeds.emplace_back(chat_template_text(name));
  seeds.push_back(read_text_file(test::data("hf/tiny-llama3/chat_template.jinja")));
  seeds.push_back(
      "{%- macro show(x, d=0) -%}{% if x is mapping %}{% for k, v in x | dictsort %}{{ k }}:{{ show(v, d + 1) }};{% "
      "endfor %}"
      "{% elif x is iterable and x is not string %}{{ x | map('string') | join(', ') }}{% else %}{{ x }}{% endif %}"
      "{%- endmacro -%}{% set ns = namespace(n=0, s='') %}{% for m in messages if m.role != 'tool' %}{% set ns.n = "
      "ns.n + 1 %}"
      "{{ loop.index0 ~ m.role | upper }}: {{ m.content[1:-1].strip().split(' ')[0] | replace('e', 'E') | indent(2) }}"
      "{% if m.tool_calls is defined %}{{ m.tool_calls | tojson(indent=2) }}{{ show(m) }}{% endif %}"
      "{% if loop.last %}{% break %}{% endif %}{% endfor %}{% call show(5) %}x{% endcall %}{{ '%05d' | format(ns.n) "
      "}}");
  jinja::Limits limits;
  limits.steps = 200'000;
  limits.memory = 16 << 20;
  std::mt19937 random(4321);
  static constexpr const char* kPieces[] = {"{{",          "}}",          "{%",
                                            "%}",          "-",           "{#",
                                            "#}",          "(",           ")",
                                            "[",           "]",           "'",
                                            "\"",          "|",           " if ",
                                            " for ",       " in ",        "999999999",
                                            "**",          "*",           "~",
                                            ".",           ",",           ":",
                                            "%",           "\\",          "loop",
                                            "messages",    " not ",       " is ",
                                            "\n",          "\xff",        "{% endfor %}",
                                            "{% endif %}", " recursive ", "x",
                                            "|list",       "|tojson"};
  const test::PeakGrowth growth;
  int texts = 0;
  for (int i = 0; i < 6000; ++i) {
    std::string text = seeds[i % seeds.size()];
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
      const size_t place = random() % (text.size() + 1), length = std::min<size_t>(random() % 8, text.size() - place);
      const size_t from = random() % text.size();
      switch (random() % 5) {
        case 0:
          text.erase(place, length);
          break;
        case 1:
          text.insert(place, kPieces[random() % std::size(kPieces)]);
          break;
        case 2:
          text.replace(place, length, kPieces[random() % std::size(kPieces)]);
          break;
        case 3:
          text.insert(place, text.substr(from, random() % 40));
          break;
        default:
          text = text.substr(0, std::max<size_t>(place, 1));
          break;
      }
      if (text.empty()) text = "x";
    }
    texts += !outcome(text, limits).starts_with("t: ");
  }
  EXPECT_GT(texts, 100);  // not all are broken: evaluation is reached
  growth.expect_below(128);
}

}  // namespace
}  // namespace margay
