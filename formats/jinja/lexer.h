// Template text to tokens, with trim_blocks and lstrip_blocks as Hugging Face sets them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace margay::jinja {

enum class TokenKind {
  kText,  // outside of tags
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,  // escapes are resolved
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 0;  // from 1
  std::string text;

  bool is(TokenKind wanted, std::string_view spelled) const { return kind == wanted && text == spelled; }
};

// White space around tags is dealt with, comments are gone, {% raw %} has become text; kEnd comes last. Throws Failure.
std::vector<Token> tokenize(std::string_view source);

}  // namespace margay::jinja
