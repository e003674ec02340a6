// The well-known chat formats, as templates. Where a format has no system role, the first user message carries it.
#include "formats/chat_template.h"

namespace margay {
namespace {

struct Row {
  std::string_view name, text;
};

constexpr Row kTemplates[] = {
    {"chatml", R"({%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- endif %})"},

    {"gemma", R"({{- bos_token }}
{%- set ns = namespace(system='') %}
{%- for message in messages %}
  {%- if message.role == 'system' %}
    {%- set ns.system = message.content | trim + '\n\n' %}
  {%- else %}
    {{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}
    {{- ns.system + message.content | trim + '<end_of_turn>\n' }}
    {%- set ns.system = '' %}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<start_of_turn>model\n' }}
{%- endif %})"},

    {"llama2", R"({%- set ns = namespace(system='') %}
{%- for message in messages %}
  {%- if message.role == 'system' %}
    {%- set ns.system = '<<SYS>>\n' + message.content + '\n<</SYS>>\n\n' %}
  {%- elif message.role == 'user' %}
    {{- bos_token + '[INST] ' + ns.system + message.content | trim + ' [/INST]' }}
    {%- set ns.system = '' %}
  {%- elif message.role == 'assistant' %}
    {{- ' ' + message.content | trim + ' ' + eos_token }}
  {%- else %}
    {{- raise_exception('llama2 has the roles system, user and assistant, not ' + message.role) }}
  {%- endif %}
{%- endfor %})"},

    {"llama3", R"({{- bos_token }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %})"},

    {"mistral", R"({{- bos_token }}
{%- set ns = namespace(system='') %}
{%- for message in messages %}
  {%- if message.role == 'system' %}
    {%- set ns.system = message.content + '\n\n' %}
  {%- elif message.role == 'user' %}
    {{- '[INST] ' + ns.system + message.content + ' [/INST]' }}
    {%- set ns.system = '' %}
  {%- elif message.role == 'assistant' %}
    {{- ' ' + message.content | trim + eos_token }}
  {%- else %}
    {{- raise_exception('mistral has the roles system, user and assistant, not ' + message.role) }}
  {%- endif %}
{%- endfor %})"},

    {"phi3", R"({%- for message in messages %}
{{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|assistant|>\n' }}
{%- endif %})"},

    {"zephyr", R"({%- for message in messages %}
{{- '<|' + message.role + '|>\n' + message.content + eos_token + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|assistant|>\n' }}
{%- endif %})"},
};

}  // namespace

std::vector<std::string_view> chat_template_names() {
  std::vector<std::string_view> names;
  for (const Row& row : kTemplates) names.push_back(row.name);
  return names;
}

std::string_view chat_template_text(std::string_view name) {
  for (const Row& row : kTemplates)
    if (row.name == name) return row.text;
  return {};
}

}  // namespace margay
