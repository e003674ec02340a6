#include "formats/chat_template.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"

namespace margay {
namespace {

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm result = {};
  localtime_r(&now, &result);
  return result;
}

void check_messages(const nlohmann::ordered_json& messages, const std::string& where) {
  require(messages.is_array() && !messages.empty(), "{}: expected a list of messages", where);
  size_t number = 0;
  for (const auto& message : messages) {
    ++number;
    require(message.is_object() && message.contains("role") && message["role"].is_string(),
            "{}: message {} is no object with a \"role\"", where, number);
  }
}

}  // namespace

ChatTemplate ChatTemplate::named(const std::string& name_or_file) {
  if (const std::string_view text = chat_template_text(name_or_file); !text.empty())
    return ChatTemplate(text, "chat template " + name_or_file);
  require(file_exists(name_or_file), "{}: is neither a file nor a chat template's name ({})", name_or_file,
          fmt::join(chat_template_names(), ", "));
  const std::string text = read_text_file(name_or_file);
  if (!name_or_file.ends_with(".json")) return ChatTemplate(text, name_or_file);
  const nlohmann::json config = parse_json(text, name_or_file);
  const bool has = config.is_object() && config.contains("chat_template") && config["chat_template"].is_string();
  require(has, "{}: has no \"chat_template\" that is a string", name_or_file);
  return ChatTemplate(config["chat_template"].get<std::string>(), name_or_file);
}

ChatTemplate ChatTemplate::of(const Tokenizer& tokenizer, const std::string& model) {
  require(!tokenizer.chat_template().empty(), "{}: has no chat template; choose one with --chat-template ({}, or FILE)",
          model, fmt::join(chat_template_names(), ", "));
  return ChatTemplate(tokenizer.chat_template(), model + ": chat template");
}

std::string ChatTemplate::render(const nlohmann::ordered_json& messages, const ChatOptions& options) const {
  check_messages(messages, "messages");
  jinja::Template::Variables variables = {{"messages", messages},
                                          {"tools", nullptr},
                                          {"documents", nullptr},
                                          {"add_generation_prompt", options.generation_prompt}};
  if (!options.bos.empty()) variables.emplace_back("bos_token", options.bos);
  if (!options.eos.empty()) variables.emplace_back("eos_token", options.eos);
  variables.insert(variables.end(), options.variables.begin(), options.variables.end());
  return template_.render(variables, options.clock ? options.clock : local_time, options.limits);
}

std::vector<int32_t> encode_chat(const Tokenizer& tokenizer, std::string_view prompt, bool add_bos) {
  std::vector<int32_t> ids = tokenizer.encode(prompt, false, true);
  if (add_bos && tokenizer.adds_bos() && (ids.empty() || ids[0] != *tokenizer.bos()))
    ids.insert(ids.begin(), *tokenizer.bos());
  return ids;
}

nlohmann::ordered_json parse_messages(std::string_view json, const std::string& where) {
  nlohmann::ordered_json messages = parse_ordered_json(json, where);
  if (messages.is_object() && messages.contains("messages")) messages = nlohmann::ordered_json(messages["messages"]);
  check_messages(messages, where);
  return messages;
}

}  // namespace margay
