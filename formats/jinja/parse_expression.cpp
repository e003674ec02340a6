// The expressions of templates. Each function is a level of precedence.
#include <algorithm>

#include "formats/jinja/builtins.h"
#include "formats/jinja/parser.h"
#include "formats/jinja/text.h"

namespace margay::jinja {
namespace {

constexpr int kMaxDepth = 200;  // of an expression's tree

Value constant(std::string text) {
  return Value(std::make_shared<const String>(String{std::move(text), {}}));  // the program's own: in no heap
}

}  // namespace

ExprPtr Parser::make(ExprKind kind, int line, std::vector<ExprPtr> children) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  for (ExprPtr& child : children) adopt(*expr, std::move(child));
  return expr;
}

void Parser::adopt(Expr& expr, ExprPtr child) {
  if (child) expr.depth = std::max(expr.depth, child->depth + 1);
  if (expr.depth > kMaxDepth) refuse_at(expr.line, "an expression nests deeper than {}", kMaxDepth);
  expr.children.push_back(std::move(child));
}

ExprPtr Parser::binary(Operator op, int line, ExprPtr left, ExprPtr right) const {
  std::vector<ExprPtr> children;
  children.push_back(std::move(left));
  children.push_back(std::move(right));
  ExprPtr expr = make(ExprKind::kBinary, line, std::move(children));
  expr->operators.push_back(op);
  return expr;
}

ExprPtr Parser::tuple(bool conditions, std::string_view end_name) {
  const int line = now().line;
  const auto ends = [&] {
    const TokenKind kind = now().kind;
    return kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd || is_operator(")") ||
           (!end_name.empty() && is_name(end_name));
  };
  const auto one = [&] { return conditions ? expression() : disjunction(); };
  ExprPtr first = one();
  if (!is_operator(",")) return first;
  ExprPtr expr = make(ExprKind::kTuple, line);
  adopt(*expr, std::move(first));
  while (skip_operator(",") && !ends()) adopt(*expr, one());
  return expr;
}

ExprPtr Parser::expression() {
  if (++level_ > kMaxDepth) refuse_at(now().line, "an expression nests deeper than {}", kMaxDepth);
  int line = now().line;
  const size_t unknown = unknown_.size();
  ExprPtr expr = disjunction();
  const bool branches = is_name("if");
  while (skip_name("if")) {
    ExprPtr condition = make(ExprKind::kCondition, line);
    adopt(*condition, disjunction());
    adopt(*condition, std::move(expr));
    adopt(*condition, skip_name("else") ? expression() : nullptr);
    expr = std::move(condition);
    line = now().line;
  }
  if (branches) unknown_.resize(unknown);  // met only when they are evaluated
  --level_;
  return expr;
}

ExprPtr Parser::disjunction() {
  ExprPtr expr = conjunction();
  if (!is_name("or")) return expr;
  ExprPtr all = make(ExprKind::kOr, expr->line);
  adopt(*all, std::move(expr));
  while (skip_name("or")) adopt(*all, conjunction());
  return all;
}

ExprPtr Parser::conjunction() {
  ExprPtr expr = negation();
  if (!is_name("and")) return expr;
  ExprPtr all = make(ExprKind::kAnd, expr->line);
  adopt(*all, std::move(expr));
  while (skip_name("and")) adopt(*all, negation());
  return all;
}

ExprPtr Parser::negation() {
  const int line = now().line;
  int count = 0;
  while (skip_name("not")) ++count;
  ExprPtr expr = comparison();
  // An even number leaves a boolean all the same.
  for (count = count > 2 ? 2 - count % 2 : count; count > 0; --count) {
    ExprPtr negated = make(ExprKind::kNot, line);
    adopt(*negated, std::move(expr));
    expr = std::move(negated);
  }
  return expr;
}

ExprPtr Parser::comparison() {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
      {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual},
  };
  const int line = now().line;
  ExprPtr first = sum(), chain;
  for (;;) {
    std::optional<Operator> op;
    for (const auto& [text, value] : kOperators)
      if (is_operator(text)) op = value;
    if (is_name("in")) op = Operator::kIn;
    if (is_name("not") && following().is(TokenKind::kName, "in")) {
      op = Operator::kNotIn;
      take();
    }
    if (!op) return chain ? std::move(chain) : std::move(first);
    take();
    if (!chain) {
      chain = make(ExprKind::kCompare, line);
      adopt(*chain, std::move(first));
    }
    chain->operators.push_back(*op);
    adopt(*chain, sum());
  }
}

ExprPtr Parser::sum() {
  ExprPtr expr = concatenation();
  for (;;) {
    const int line = now().line;
    if (skip_operator("+")) expr = binary(Operator::kAdd, line, std::move(expr), concatenation());
    else if (skip_operator("-")) expr = binary(Operator::kSubtract, line, std::move(expr), concatenation());
    else return expr;
  }
}

ExprPtr Parser::concatenation() {
  ExprPtr expr = product();
  if (!is_operator("~")) return expr;
  ExprPtr all = make(ExprKind::kConcat, expr->line);
  adopt(*all, std::move(expr));
  while (skip_operator("~")) adopt(*all, product());
  return all;
}

ExprPtr Parser::product() {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"*", Operator::kMultiply}, {"/", Operator::kDivide}, {"//", Operator::kFloorDivide}, {"%", Operator::kModulo}};
  ExprPtr expr = power();
  for (;;) {
    const auto found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                    [&](const auto& row) { return is_operator(row.first); });
    if (found == std::end(kOperators)) return expr;
    const int line = take().line;
    expr = binary(found->second, line, std::move(expr), power());
  }
}

ExprPtr Parser::power() {
  ExprPtr expr = unary();
  while (is_operator("**")) {
    const int line = take().line;
    expr = binary(Operator::kPower, line, std::move(expr), unary());
  }
  return expr;
}

ExprPtr Parser::unary(bool filters) {
  if (++level_ > kMaxDepth) refuse_at(now().line, "an expression nests deeper than {}", kMaxDepth);
  const int line = now().line;
  ExprPtr expr;
  if (is_operator("-") || is_operator("+")) {
    expr = make(take().text == "-" ? ExprKind::kNegative : ExprKind::kPositive, line);
    adopt(*expr, unary(false));
  } else {
    expr = primary();
  }
  expr = postfix(std::move(expr));
  if (filters) expr = filters_and_tests(std::move(expr));
  --level_;
  return expr;
}

ExprPtr Parser::primary() {
  const Token& token = now();
  const int line = token.line;
  if (token.kind == TokenKind::kName) return name_or_constant();
  ExprPtr expr = make(ExprKind::kConstant, line);
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (now().kind == TokenKind::kString) text += take().text;
    expr->value = constant(std::move(text));
  } else if (token.kind == TokenKind::kInteger) {
    const auto number = parse_whole(token.text, 0);
    if (!number) refuse_at(line, "{} is no integer of 64 bits", token.text);
    expr->value = Value(*number);
    take();
  } else if (token.kind == TokenKind::kFloat) {
    const auto number = parse_float(token.text);
    if (!number) refuse_at(line, "{} is no float of 64 bits", token.text);
    expr->value = Value(*number);
    take();
  } else if (skip_operator("(")) {
    expr = is_operator(")") ? make(ExprKind::kTuple, line) : tuple(true);
    expect_operator(")");
  } else if (skip_operator("[")) {
    expr = bracketed(ExprKind::kList, "]");
  } else if (skip_operator("{")) {
    expr = bracketed(ExprKind::kDict, "}");
  } else {
    unexpected("an expression");
  }
  return expr;
}

ExprPtr Parser::name_or_constant() {
  const Token token = take();
  ExprPtr expr = make(ExprKind::kConstant, token.line);
  if (token.text == "true" || token.text == "True") expr->value = Value(true);
  else if (token.text == "false" || token.text == "False") expr->value = Value(false);
  else if (token.text == "none" || token.text == "None") expr->value = Value(None{});
  else {
    expr->kind = ExprKind::kName;
    expr->name = name_id(token.text);
  }
  return expr;
}

ExprPtr Parser::bracketed(ExprKind kind, std::string_view end) {
  ExprPtr expr = make(kind, now().line);
  while (!is_operator(end)) {
    adopt(*expr, expression());
    if (kind == ExprKind::kDict) {
      expect_operator(":");
      adopt(*expr, expression());
    }
    if (!is_operator(end)) expect_operator(",");
  }
  take();
  return expr;
}

ExprPtr Parser::postfix(ExprPtr expr) {
  for (;;) {
    if (is_operator(".") || is_operator("[")) {
      expr = subscript(std::move(expr));
    } else if (is_operator("(")) {
      ExprPtr call = make(ExprKind::kCall, now().line);
      adopt(*call, std::move(expr));
      call_arguments(*call);
      expr = std::move(call);
    } else {
      return expr;
    }
  }
}

ExprPtr Parser::subscript(ExprPtr of) {
  const int line = now().line;
  ExprPtr expr = make(ExprKind::kItem, line);
  adopt(*expr, std::move(of));
  if (skip_operator(".")) {
    if (now().kind == TokenKind::kInteger) {
      adopt(*expr, primary());
      return expr;
    }
    expr->kind = ExprKind::kAttribute;
    expr->text = expect_name("an attribute");
    expr->value = constant(expr->text);  // the key, where the attribute is a dict's item
    return expr;
  }
  take();
  ExprPtr first = is_operator(":") ? nullptr : expression();
  if (is_operator("]") && first) {
    adopt(*expr, std::move(first));
  } else {
    if (!is_operator(":")) unexpected("] or :");
    expr->kind = ExprKind::kSlice;
    adopt(*expr, std::move(first));
    for (int i = 0; i < 2; ++i) {
      const bool given = skip_operator(":") && !is_operator(":") && !is_operator("]");
      adopt(*expr, given ? expression() : nullptr);
    }
  }
  expect_operator("]");
  return expr;
}

ExprPtr Parser::filters_and_tests(ExprPtr expr) {
  for (;;) {
    if (skip_operator("|")) expr = filter(std::move(expr));
    else if (is_name("is")) expr = test(std::move(expr));
    else if (is_operator("(")) expr = postfix(std::move(expr));
    else return expr;
  }
}

std::string Parser::dotted_name() {
  std::string name = expect_name("a name");
  while (skip_operator(".")) name += "." + expect_name("a name");
  return name;
}

// After the "|". Without an expression it is the filter of a block, which may be several.
ExprPtr Parser::filter(ExprPtr of) {
  const bool alone = !of;
  for (;;) {
    ExprPtr expr = make(ExprKind::kFilter, now().line);
    expr->text = dotted_name();
    adopt(*expr, std::move(of));
    if (is_operator("(")) call_arguments(*expr);
    expr->builtin = find_filter(expr->text);
    if (!expr->builtin && !conditional_)
      unknown_.push_back({fmt::format("unknown filter '{}'", expr->text), expr->line});
    if (!alone || !skip_operator("|")) return expr;
    of = std::move(expr);
  }
}

ExprPtr Parser::test(ExprPtr of) {
  ExprPtr expr = make(ExprKind::kTest, take().line);
  const bool negated = skip_name("not");
  expr->text = dotted_name();
  adopt(*expr, std::move(of));
  const TokenKind kind = now().kind;
  const bool argument = kind == TokenKind::kString || kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                        is_operator("[") || is_operator("{") ||
                        (kind == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and"));
  if (is_operator("(")) {
    call_arguments(*expr);
  } else if (argument) {
    if (is_name("is")) refuse_at(now().line, "tests cannot be chained with is");
    adopt(*expr, postfix(primary()));
  }
  expr->builtin = find_test(expr->text);
  if (!expr->builtin && !conditional_) unknown_.push_back({fmt::format("unknown test '{}'", expr->text), expr->line});
  if (!negated) return expr;
  ExprPtr not_expr = make(ExprKind::kNot, expr->line);
  adopt(*not_expr, std::move(expr));
  return not_expr;
}

void Parser::call_arguments(Expr& call) {
  const int line = now().line;
  expect_operator("(");
  const auto deeper = [&](const ExprPtr& expr) {
    call.depth = std::max(call.depth, expr->depth + 1);
    if (call.depth > kMaxDepth) refuse_at(line, "an expression nests deeper than {}", kMaxDepth);
  };
  while (!is_operator(")")) {
    if (skip_operator("*")) {
      if (call.star || call.star_star) refuse_at(line, "a call has two lists of arguments");
      deeper(call.star = expression());
    } else if (skip_operator("**")) {
      if (call.star_star) refuse_at(line, "a call has two dicts of arguments");
      deeper(call.star_star = expression());
    } else if (now().kind == TokenKind::kName && following().is(TokenKind::kOperator, "=")) {
      std::string name = take().text;
      take();
      ExprPtr value = expression();
      deeper(value);
      for (const auto& [other, expr] : call.named)
        if (other == name) refuse_at(line, "argument '{}' is given twice", name);
      call.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (call.star || call.star_star || !call.named.empty())
        refuse_at(line, "an argument without a name follows one with a name");
      adopt(call, expression());
    }
    if (!is_operator(")")) expect_operator(",");
  }
  take();
}

}  // namespace margay::jinja
