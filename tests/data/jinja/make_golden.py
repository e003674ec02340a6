#!/usr/bin/env python3
"""Writes golden.jsonl: small templates of ours with what Jinja (3.1) makes of them in Hugging Face's environment.

A row: template, variables, and expected or error. Needs the package jinja2. The environment is that of transformers'
apply_chat_template: sandboxed, trim_blocks and lstrip_blocks, loop controls, {% generation %}, tojson, raise_exception,
strftime_now (here of a fixed time).
"""
import datetime
import json
import os

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = datetime.datetime(2024, 7, 26, 13, 5, 9).strftime

VARIABLES = {
    "n": 3, "m": -7, "f": 2.5, "t": True, "no": None, "s": "Hello World", "u": "ünïcode 你好 🙂", "e": "", "html": "<a href=\"x\">'&</a>",
    "xs": [3, 1, 2], "names": ["bob", "Alice", "carol", "alice"], "d": {"b": 1, "a": [1, {"c": None}], "items": "shadow"},
    "ms": [{"role": "user", "n": 2, "tag": "x"}, {"role": "assistant", "n": 1}, {"role": "user", "n": 3, "tag": "y"}],
    "tree": [{"name": "a", "kids": [{"name": "b", "kids": [{"name": "c", "kids": []}]}]}, {"name": "d", "kids": []}],
    "lines": "one\n\n  two\nthree\n", "long": "The quick brown fox jumps over the lazy dog",
}

TEMPLATES = r'''
{{ n }} {{ m }} {{ f }} {{ t }} {{ no }} {{ s }} {{ missing }} {{ xs }} {{ d }}
{{ 1e20 }} {{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e-7 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 12345678901234567.0 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}
{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ 'a' ~ 1 ~ none ~ 2.0 }} {{ 'ab' * 3 }} {{ [1] * 2 + [3] }} {{ (1, 2) + (3,) }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ true == 1 }} {{ none == false }} {{ 1 != 2 }}
{{ not true }} {{ not not 0 }} {{ true and 0 }} {{ 0 or 'x' }} {{ '' or none }} {{ 1 and 2 or 3 }} {{ not 1 in [1] }}
{{ 'a' in 'cat' }} {{ 'x' not in 'cat' }} {{ 1 in xs }} {{ 'a' in d }} {{ 'z' in d }} {{ 'a' in missing }}
{{ 'yes' if t else 'no' }} {{ 'yes' if no }}|{{ 'a' if no else 'b' if no else 'c' }}
{{ s[0] }} {{ s[-1] }} {{ s[1:4] }} {{ s[::-1] }} {{ s[:-3] }} {{ s[20:] }} {{ s[-100:3] }} {{ u[1] }} {{ u[8:10] }} {{ u[-1] }} {{ s[::2] }} {{ s[5:1:-1] }}
{{ xs[0] }} {{ xs[-1] }} {{ xs[1:] }} {{ xs[9] }} {{ xs[::-1] }} {{ (1, 2, 3)[:2] }} {{ xs[:0] }} {{ xs[none:2] }}
{{ d.b }} {{ d['b'] }} {{ d.a.1.c }} {{ d['items'] }} {{ d.zzz }} {{ d.get('b') }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ d['zzz'] is defined }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {{ d.keys() | list }} {{ d.values() | list }} {{ d | length }}
{% for k in d %}{{ k }},{% endfor %} {% for c in 'abc' %}{{ c }}.{% endfor %} {% for x in [] %}x{% else %}none{% endfor %}
{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}
{% for x in xs if x > 1 %}{{ x }}/{{ loop.length }} {% endfor %}{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in xs %}{{ loop.cycle('odd', 'even') }} {{ loop.changed(x > 1) }} {% endfor %}{% for x in xs %}{% for y in xs %}{{ loop.depth }}{% endfor %}{% endfor %}
{% for node in tree recursive %}[{{ loop.depth }}{{ node.name }}{{ loop(node.kids) }}]{% endfor %}
{% for a, (b, c) in [(1, (2, 3)), (4, (5, 6))] %}{{ a + b + c }} {% endfor %}
{% set x = 1 %}{% for i in xs %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}
{% set ns = namespace(x=0, y='a') %}{% for i in xs %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.z }}{% set ns.z = 1 %}{{ ns.z }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}{% set text %}x{{ n }}y{% endset %}{{ text }}{% set up | upper | replace('A', 'b') %}aa{% endset %}{{ up }}
{% if n == 1 %}1{% elif n == 3 %}3{% else %}other{% endif %}{% if missing %}a{% else %}b{% endif %}{% if xs %}c{% endif %}{% if [] %}d{% endif %}
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=4) }} {{ m(b=5, a=6) }} {{ m() }}
{% macro all(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ all(1, 2, 3, x=4) }}
{% macro outer(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) outer(3) %}got {{ y }} {{ n }}{% endcall %}
{% macro down(i) %}{{ i }}{% if i > 0 %},{{ down(i - 1) }}{% endif %}{% endmacro %}{{ down(5) }}
{% set v = 1 %}{% macro late() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ late() }}
{% macro scoped() %}{% set inner = 5 %}{{ inner }}{% endmacro %}{{ scoped() }}{{ inner }}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set c = 5 %}{% endwith %}{{ a }}{{ c }}
{% filter upper %}abc {{ s }}{% endfilter %} {% generation %}gen {{ n }}{% set q = 1 %}{% endgeneration %}{{ q }}
{% raw %}{{ not }} {% code %}{% endraw %} {# a comment #}after{#- another -#}   x
a  {%- if t -%}  b  {%- endif -%}  c {{- ' d ' -}} e
  {% if t %}\n    x\n  {% endif %}\ny\n   {# c #}\nz
  {%+ if t %}\nx\n  {%+ endif +%}\ny
{{ s }}\n{{ n }}\n\n
{{ "a\tb\\n\x41\u00e9\U0001F642\101\q" }} {{ 'it\'s' }} {{ "a" "b" 'c' }}
{{ {'a': 1, 'b': {'c': [1, 2]}} }} {{ [1, 'a', none, true, 2.5] }} {{ (1,) }} {{ () }} {{ {} }} {{ ["it's", 'q"', "\n\\", "é", "\x7f"] }}
{{ d | tojson }} {{ html | tojson }} {{ u | tojson }} {{ u | tojson(ensure_ascii=true) }} {{ "\n\t\x01\x7f" | tojson }}
{{ d | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ {} | tojson(indent=2) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ [1, 2] | tojson(separators=(',', ':')) }}
{{ [1.5, 1e30, 3, true, none] | tojson }} {{ {1: 2, true: 3, none: 4} | tojson }} {{ (1, 2) | tojson }} {{ xs | tojson(indent='--') }}
{{ s | upper }} {{ s | lower }} {{ 'hELLO wORLD' | capitalize }} {{ 'hello wORLD-x (y' | title }} {{ '  x ' | trim }}| {{ 'xxaxx' | trim('x') }} {{ u | upper }} {{ 'straße' | upper }}
{{ s | length }} {{ u | length }} {{ xs | count }} {{ s | first }} {{ xs | last }} {{ s | reverse }} {{ xs | reverse | list }} {{ s | list }}
{{ s | replace('l', 'L') }} {{ s | replace('l', 'L', 1) }} {{ 'aaa' | replace('', '-') }} {{ 5 | replace(5, 'x') }}
{{ missing | default('d') }} {{ missing | d }}| {{ e | default('d') }}| {{ e | default('d', true) }} {{ no | default('d') }} {{ d.zz | default(1) }}
{{ xs | join }} {{ xs | join(', ') }} {{ ms | join('|', attribute='role') }} {{ names | join(' ') | upper }}
{{ xs | sort }} {{ xs | sort(reverse=true) }} {{ names | sort }} {{ names | sort(case_sensitive=true) }} {{ ms | sort(attribute='n') | map(attribute='n') | list }} {{ ms | sort(attribute='role,n') | map(attribute='n') | list }}
{{ d | dictsort }} {{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) }} {{ {'b': 1, 'A': 2} | dictsort(true) }}
{{ names | unique | list }} {{ [1, 1.0, 2, true] | unique | list }} {{ names | map('upper') | list }} {{ ms | map(attribute='tag', default='-') | list }} {{ ['a b', 'c'] | map('replace', ' ', '_') | join(',') }}
{{ xs | select('gt', 1) | list }} {{ xs | reject('odd') | list }} {{ [0, 1, ''] | select | list }} {{ ms | selectattr('role', 'equalto', 'user') | map(attribute='n') | list }} {{ ms | selectattr('tag', 'defined') | list | length }} {{ ms | rejectattr('tag') | list | length }} {{ none | select | list }}
{{ xs | sum }} {{ ms | sum(attribute='n') }} {{ xs | sum(start=10) }} {{ xs | min }} {{ xs | max }} {{ names | max }} {{ ms | max(attribute='n') | tojson }} {{ [] | min }}
{% for role, group in ms | groupby('role') %}{{ role }}:{{ group | map(attribute='n') | join(',') }};{% endfor %} {{ d | items | list }} {{ missing | items | list }}
{{ range(7) | batch(3) | list }} {{ range(7) | batch(3, 0) | list }} {{ range(7) | slice(3) | list }} {{ range(7) | slice(3, 'x') | list }}
{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '42.9' | int }} {{ 3.9 | int }} {{ '0x1f' | int(base=16) }} {{ '1f' | int(0, 16) }} {{ '1.5' | float }} {{ 'x' | float }} {{ true | int }} {{ none | int }}
{{ 2.5 | round }} {{ 42.55 | round(1) }} {{ 42.55 | round(1, 'floor') }} {{ 42.1 | round(method='ceil') }} {{ 3.5 | round }} {{ -5 | abs }} {{ -2.5 | abs }} {{ 5 | round }}
{{ lines | indent }}|{{ lines | indent(2, true) }}|{{ lines | indent(2, blank=true) }}|{{ lines | indent('> ') }}
{{ long | truncate(20) }} {{ long | truncate(20, true) }} {{ long | truncate(20, end='') }} {{ long | truncate(43) }} {{ long | wordcount }} {{ 'x' | center(5) }}| {{ 'ab' | center(5) }}|
{{ html | escape }} {{ html | e }} {{ html | safe }} {{ n | string + '!' }} {{ 'a b&c/d é' | urlencode }} {{ {'a b': 'c&'} | urlencode }}
{{ '%s is %d, %05.1f, %-5s|%5s|%x %% %r %+d' | format('a', 3, 2.25, 'l', 'r', 255, 'q', 5) }} {{ '%(a)s-%(b)s' | format(a=1, b=2) }} {{ '%s' % 5 }} {{ '%s %s' % ('a', 'b') }} {{ '{} {} {x}'.format(1, 'b', x=3) }} {{ '{1}{0}{{}}'.format('a', 'b') }}
{{ d | attr('zz') }} {{ d | attr('keys') is callable }} {{ n is divisibleby 3 }} {{ n is divisibleby(2) }} {{ 4 is even }} {{ 3 is odd }} {{ 2.5 is even }} {{ 4.0 is even }}
{{ missing is defined }} {{ s is defined }} {{ missing is undefined }} {{ no is none }} {{ s is string }} {{ n is number }} {{ t is number }} {{ f is float }} {{ n is integer }} {{ t is integer }} {{ t is boolean }} {{ t is true }} {{ 1 is true }} {{ false is false }}
{{ d is mapping }} {{ xs is mapping }} {{ xs is iterable }} {{ s is iterable }} {{ n is iterable }} {{ xs is sequence }} {{ d is sequence }} {{ n is sequence }} {{ d.items() is sequence }} {{ range(2) is sequence }} {{ missing is iterable }} {{ (xs | map('upper')) is sequence }} {{ range is callable }} {{ no is iterable }}
{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aB' is lower }} {{ 1 is eq 1 }} {{ 1 is ne(2) }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 1 is in [1, 2] }} {{ 1 is sameas 1 }} {{ n is not none }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'even' is test }}
{{ s.upper() }} {{ s.lower() }} {{ ' x '.strip() }}| {{ 'xxa'.lstrip('x') }} {{ 'axx'.rstrip('x') }} {{ s.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a  b  c '.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b  c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }}
{{ s.startswith('Hell') }} {{ s.endswith('ld') }} {{ s.startswith(('x', 'H')) }} {{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.index('W') }} {{ s.count('l') }} {{ u.find('你') }} {{ s.find('o', 5) }} {{ s.startswith('W', 6) }} {{ s.count('') }}
{{ s.replace('o', '0') }} {{ s.replace('o', '0', 1) }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ 'a\nb\r\nc'.splitlines() }} {{ 'a\nb'.splitlines(true) }} {{ ', '.join(['a', 'b']) }} {{ 'hello world'.title() }} {{ "they're".title() }} {{ 'hELLO'.capitalize() }}
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'a'.islower() }} {{ 'A'.isupper() }} {{ ''.isalpha() }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ 'abcd'.center(7, '*') }} {{ 'xyz'.removeprefix('x') }} {{ 'xyz'.removesuffix('z') }}
{{ xs.index(1) }} {{ xs.count(3) }} {{ range(3) | list }} {{ range(1, 10, 3) | list }} {{ range(5, 0, -2) | list }} {{ range(0) | list }} {{ dict(a=1, b=2) }} {{ dict([('a', 1)]) }} {{ dict({'x': 1}, y=2) }}
{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }} {{ strftime_now('%B %d, %Y %H:%M:%S %A %j %%') }}
{% set g = xs | map('string') %}{{ g | list }}{{ g | list }} {% if xs | select('gt', 9) %}true{% endif %}
{{ missing | length }} {{ missing ~ 'x' }} {{ missing == missing2 }} {% for x in missing %}x{% endfor %}{{ missing | list }} {{ missing | upper }}|
{{ [missing] }} {{ {'a': missing} }} {{ n.zzz }} {{ no.zzz }} {{ xs.zzz }} {{ no['x'] }} {{ xs['x'] }} {{ s.zzz is defined }}
{{ xs.append is defined }} {{ d.update is defined }} {{ d['get'] is defined }}
{{ m(*[1, 2]) if false }}{% macro f(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ f(*[1, 2]) }}{{ f(**{'a': 3, 'b': 4}) }}{{ f(5, *[6]) }}
{% if false %}{{ x | nofilter }}{{ x is notest }}{% endif %}ok {{ 'a' if true else x | nofilter }}
{% for i in range(3) %}{% if i == 1 %}{% set found = i %}{% endif %}{% endfor %}{{ found }}{% set ns = namespace() %}{% set ns.a = [] %}{% set ns.a = ns.a + [1] %}{{ ns.a }}
{{ [[1, 2], [3]] | sum(start=[]) }} {{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1.0} }} {{ (1, 2) == [1, 2] }} {{ 'é' == 'é' }}
{{ -n }} {{ +n }} {{ - 2 | abs }} {{ -xs[0] }} {{ (not t) | string }} {{ 2 * -3 }} {{ n|string|length }} {{ 10 - 2 - 3 }} {{ 2 ** 3 ** 2 }}
{{ 'a' 'b' ~ 'c' | upper }} {{ ('a' ~ 'c') | upper }} {{ n + 1 | string if false else 'ok' }} {{ xs | first + 1 }} {{ 'x' is string and 'y' is string }}
{{ {'a': {'b': {}}}['a']['b'] }}{{ {'k': 'v'}.k }}{{ [{'a': 1}][0].a }}{{ ('a', 'b')[1] }}{{ "x".upper().lower() }}
{{ undefined_function() }}
{{ missing.attribute }}
{{ missing['x'] }}
{{ missing + 1 }}
{{ 1 + 'a' }}
{{ 'a' + 1 }}
{{ none + 1 }}
{{ 1 < 'a' }}
{{ [] < 1 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ none | length }}
{{ 5 | length }}
{{ n() }}
{{ raise_exception('stop it') }}
{% for x in none %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{{ x | nofilter }}
{{ x is notest }}
{% for i in xs %}{{ i | nofilter }}{% endfor %}
{% if true %}{{ x | nofilter }}{% endif %}
{% nothing %}
{% if %}{% endif %}
{% if x %}
{% endif %}
{% for x in y %}{% endif %}
{{ }}
{{ 1 + }}
{{ (1 }}
{{ [1, 2 }}
{{ 'abc }}
{% set x.y = 1 %}
{% set d.b = 1 %}
{% set 1 = 2 %}
{% break %}
{# never ends
{% raw %} never ends
{{ xs.append(1) }}
{{ d.pop('a') }}
{{ d.update({}) }}
{{ missing | int }}
{{ missing | tojson }}
{{ range(100001) }}
{{ range(1, 2, 0) }}
{{ {[1]: 2} }}
{{ 1 in 5 }}
{{ 1 in 'a' }}
{{ none in 'a' }}
{{ 'abc'.split('') }}
{{ 'abc'.index('z') }}
{{ xs.index(99) }}
{{ '%d' % 'a' }}
{{ '%s %s' % 'a' }}
{{ 'a' % 1 }}
{{ m(1) }}{% macro m() %}{% endmacro %}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(b=2) }}
{{ xs | sort(attribute='a') | nofilter }}
{{ [1, 'a'] | sort }}
{{ ''.__class__.__mro__ }}
{{ xs | batch }}
{{ s | upper(1) }}
{{ s.upper(1) }}
{{ a b }}
{{ 1 is even is odd }}
{% for x in xs %}{{ loop(x) }}{% endfor %}
{{ s[1:2:0] }}
{{ d | dictsort(by='x') }}
{{ 'a' is even }}
{{ 1 is == 1 }}
{{ 'x' | round }}
{% call 5 %}{% endcall %}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% set a, b = 1 %}
{{ '\x4' }}
{{ $ }}
{{ "a" if }}
'''


def main():
    rows = []
    for line in TEMPLATES.strip("\n").split("\n"):
        # "\n" outside of tags stands for a line end: a template is one line here.
        parts, inside = [], False
        for piece in line.replace("{{", "\0{{").replace("{%", "\0{%").split("\0"):
            end = max(piece.rfind("}}"), piece.rfind("%}"))
            cut = end + 2 if piece[:2] in ("{{", "{%") and end >= 0 else 0 if piece[:2] not in ("{{", "{%") else len(piece)
            parts.append(piece[:cut] + piece[cut:].replace("\\n", "\n"))
        template = "".join(parts)
        row = {"template": template}
        try:
            row["expected"] = environment.from_string(template).render(**VARIABLES)
        except Exception as error:  # whatever Python raises is an error of the template
            row["error"] = str(error).split("\n")[0]
        rows.append(row)
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "golden.jsonl"), "w") as out:
        out.write(json.dumps({"variables": VARIABLES}, ensure_ascii=False) + "\n")
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{sum('expected' in row for row in rows)} texts, {sum('error' in row for row in rows)} errors")


main()
