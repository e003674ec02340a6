// Tokens to a program.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/ast.h"
#include "formats/jinja/lexer.h"

namespace margay::jinja {

// Parses a template. Throws Failure with the line for what is no Jinja, for tags, filters and tests that are not there,
// and for nesting too deep. A filter or test within {% if %} or an inline if may be unknown until it is evaluated.
Program parse(std::string_view source);

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)) {}
  Program run();

 private:
  // Statements (parser.cpp). A block ends before one of `ends`; the tag's name is left to read.
  Block block(const std::vector<std::string_view>& ends);
  std::unique_ptr<Stmt> statement();
  Block body_until(std::string_view end);     // reads the end tag too
  Block captured_body(std::string_view end);  // the same; no break or continue leads out of it
  void if_tag(Stmt& stmt);
  void for_tag(Stmt& stmt);
  void set_tag(Stmt& stmt);
  void macro_tag(Stmt& stmt);
  void call_tag(Stmt& stmt);
  void filter_tag(Stmt& stmt);
  void with_tag(Stmt& stmt);
  void jump_tag(Stmt& stmt);
  void generation_tag(Stmt& stmt);
  void signature(Stmt& stmt);
  void macro_body(Stmt& stmt, std::string_view end);
  Target target(bool tuple);

  // Expressions (parse_expression.cpp), from the loosest binding to the tightest.
  ExprPtr tuple(bool conditions, std::string_view end_name = {});
  ExprPtr expression();
  ExprPtr disjunction();
  ExprPtr conjunction();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool filters = true);
  ExprPtr primary();
  ExprPtr name_or_constant();
  ExprPtr bracketed(ExprKind kind, std::string_view end);
  ExprPtr postfix(ExprPtr expr);
  ExprPtr subscript(ExprPtr expr);
  ExprPtr filters_and_tests(ExprPtr expr);
  ExprPtr filter(ExprPtr expr);
  ExprPtr test(ExprPtr expr);
  void call_arguments(Expr& call);
  std::string dotted_name();

  ExprPtr make(ExprKind kind, int line, std::vector<ExprPtr> children = {}) const;
  static void adopt(Expr& expr, ExprPtr child);  // adds a child and checks the depth
  ExprPtr binary(Operator op, int line, ExprPtr left, ExprPtr right) const;

  // Tokens.
  const Token& now() const { return tokens_[at_]; }
  const Token& following() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_operator(std::string_view text) const { return now().is(TokenKind::kOperator, text); }
  bool is_name(std::string_view text) const { return now().is(TokenKind::kName, text); }
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_operator(std::string_view text);
  std::string expect_name(const char* what);
  void expect_end(TokenKind kind);
  [[noreturn]] void unexpected(const char* wanted) const;
  int name_id(const std::string& name);

  // Guards recursion over the template's own nesting.
  class Level;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int level_ = 0;
  bool conditional_ = false;      // within a branch, where unknown filters are met only when they are evaluated
  std::vector<Failure> unknown_;  // filters and tests that are outside of branches
  int loops_ = 0;                 // around the statement, within its macro
  Program program_;
  std::map<std::string, int, std::less<>> name_ids_;
};

// What a token looks like in a message.
std::string token_text(const Token& token);

}  // namespace margay::jinja
