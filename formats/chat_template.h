// Chat templates: a conversation to the text that a model was trained on.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/template.h"
#include "formats/tokenizer.h"

namespace margay {

struct ChatOptions {
  bool generation_prompt = true;  // ends with what begins the model's answer
  // "bos_token", "eos_token"; a template sees those that are not empty.
  std::string bos, eos;
  jinja::Template::Variables variables;  // further ones, which may replace the usual ones
  jinja::Template::Clock clock;          // of strftime_now; empty: the local time
  jinja::Limits limits;
};

// A chat template, with the environment of Hugging Face's apply_chat_template: messages, add_generation_prompt,
// bos_token, eos_token, and tools and documents, which are none. Cheap to copy, safe to share among threads.
class ChatTemplate {
 public:
  // `name` is for messages. Throws Error, one line with name, line and what, for what is no template.
  ChatTemplate(std::string_view source, const std::string& name) : template_(source, name) {}

  // What --chat-template means: a well-known format (chat_template_names()), else a file: Jinja, or a JSON file with
  // "chat_template" (tokenizer_config.json). Throws Error when there is neither.
  static ChatTemplate named(const std::string& name_or_file);
  // The tokenizer's own. Throws Error when it has none: there is no default. `model` is for messages.
  static ChatTemplate of(const Tokenizer& tokenizer, const std::string& model);

  // `messages`: a list of objects with "role" and, as a rule, "content". Throws Error where they are not that, where
  // the template refuses them, and where a limit is passed.
  std::string render(const nlohmann::ordered_json& messages, const ChatOptions& options) const;

 private:
  jinja::Template template_;
};

// The names of the well-known formats: "chatml", "llama2"...
std::vector<std::string_view> chat_template_names();
// The Jinja text of one; empty when there is none of that name.
std::string_view chat_template_text(std::string_view name);

// The tokens of a rendered prompt: special tokens in it count as such; bos goes before it only where the tokenizer
// adds one and the prompt does not begin with it.
std::vector<int32_t> encode_chat(const Tokenizer& tokenizer, std::string_view prompt, bool add_bos = true);

// Reads a conversation: a JSON list of messages, or an object with "messages". Keys keep their order.
nlohmann::ordered_json parse_messages(std::string_view json, const std::string& where);

}  // namespace margay
