#include "formats/jinja/parser.h"

#include <algorithm>

namespace margay::jinja {
namespace {

constexpr int kMaxNesting = 100;  // tags within tags, and brackets within brackets

const char* const kMissingTags[] = {"include",    "import", "from",  "extends", "block",
                                    "autoescape", "do",     "trans", "debug"};

}  // namespace

class Parser::Level {
 public:
  explicit Level(Parser& parser) : parser_(parser) {
    if (++parser_.level_ > kMaxNesting) refuse_at(parser_.now().line, "tags nest deeper than {}", kMaxNesting);
  }
  ~Level() { --parser_.level_; }

 private:
  Parser& parser_;
};

Program parse(std::string_view source) { return Parser(source).run(); }

Program Parser::run() {
  program_.body = block({});
  if (!unknown_.empty()) throw unknown_.front();
  return std::move(program_);
}

int Parser::name_id(const std::string& name) {
  const auto [place, fresh] = name_ids_.emplace(name, static_cast<int>(program_.names.size()));
  if (fresh) program_.names.push_back(name);
  return place->second;
}

Block Parser::block(const std::vector<std::string_view>& ends) {
  const Level level(*this);
  const int begin = now().line;
  Block body;
  for (;;) {
    const int line = now().line;
    switch (now().kind) {
      case TokenKind::kText: {
        auto text = std::make_unique<Stmt>();
        text->line = line;
        text->text = take().text;
        body.push_back(std::move(text));
        break;
      }
      case TokenKind::kVariableBegin: {
        take();
        auto print = std::make_unique<Stmt>();
        print->kind = StmtKind::kPrint;
        print->line = line;
        print->expr = tuple(true);
        expect_end(TokenKind::kVariableEnd);
        body.push_back(std::move(print));
        break;
      }
      case TokenKind::kBlockBegin:
        take();
        if (now().kind == TokenKind::kName && std::find(ends.begin(), ends.end(), now().text) != ends.end())
          return body;
        body.push_back(statement());
        expect_end(TokenKind::kBlockEnd);
        break;
      default:
        if (!ends.empty()) refuse_at(begin, "the template ends where {{% {} %}} is missing", ends.back());
        return body;
    }
  }
}

Block Parser::body_until(std::string_view end) {
  expect_end(TokenKind::kBlockEnd);
  Block body = block({end});
  take();  // the end tag's name
  return body;
}

Block Parser::captured_body(std::string_view end) {
  const int loops = std::exchange(loops_, 0);
  Block body = body_until(end);
  loops_ = loops;
  return body;
}

std::unique_ptr<Stmt> Parser::statement() {
  struct Row {
    std::string_view tag;
    StmtKind kind;
    void (Parser::*parse)(Stmt& stmt);
  };
  static constexpr Row kTags[] = {
      {"if", StmtKind::kIf, &Parser::if_tag},
      {"for", StmtKind::kFor, &Parser::for_tag},
      {"set", StmtKind::kSet, &Parser::set_tag},
      {"macro", StmtKind::kMacro, &Parser::macro_tag},
      {"call", StmtKind::kCall, &Parser::call_tag},
      {"filter", StmtKind::kFilter, &Parser::filter_tag},
      {"with", StmtKind::kWith, &Parser::with_tag},
      {"break", StmtKind::kBreak, &Parser::jump_tag},
      {"continue", StmtKind::kContinue, &Parser::jump_tag},
      {"generation", StmtKind::kGeneration, &Parser::generation_tag},
  };
  auto stmt = std::make_unique<Stmt>();
  stmt->line = now().line;
  const std::string tag = expect_name("a tag");
  for (const Row& row : kTags) {
    if (row.tag != tag) continue;
    stmt->kind = row.kind;
    (this->*row.parse)(*stmt);
    return stmt;
  }
  if (std::find(std::begin(kMissingTags), std::end(kMissingTags), tag) != std::end(kMissingTags))
    refuse_at(stmt->line, "the tag '{}' is not there for chat templates", tag);
  if (tag.starts_with("end") || tag == "else" || tag == "elif")
    refuse_at(stmt->line, "the tag '{}' does not belong here", tag);
  refuse_at(stmt->line, "unknown tag '{}'", tag);
}

void Parser::if_tag(Stmt& stmt) {
  const bool outer = std::exchange(conditional_, true);
  for (;;) {
    ExprPtr condition = tuple(false);
    expect_end(TokenKind::kBlockEnd);
    Block body = block({"elif", "else", "endif"});
    stmt.branches.emplace_back(std::move(condition), std::move(body));
    const std::string tag = take().text;
    if (tag == "elif") continue;
    if (tag == "else") stmt.otherwise = body_until("endif");
    break;
  }
  conditional_ = outer;
}

void Parser::for_tag(Stmt& stmt) {
  stmt.target = target(true);
  if (!skip_name("in")) unexpected("in");
  stmt.expr = tuple(false, "recursive");
  if (skip_name("if")) stmt.condition = expression();
  stmt.recursive = skip_name("recursive");
  expect_end(TokenKind::kBlockEnd);
  const bool outer = std::exchange(conditional_, false);  // a loop's body is no branch: Jinja looks its filters up
  ++loops_;
  stmt.body = block({"else", "endfor"});
  --loops_;
  if (take().text == "else") stmt.otherwise = body_until("endfor");
  conditional_ = outer;
}

void Parser::set_tag(Stmt& stmt) {
  stmt.target = target(true);
  if (skip_operator("=")) {
    stmt.expr = tuple(true);
    return;
  }
  stmt.kind = StmtKind::kSetBlock;
  if (is_operator("|")) {
    take();
    stmt.expr = filter(nullptr);
  }
  stmt.body = captured_body("endset");
}

void Parser::signature(Stmt& stmt) {
  expect_operator("(");
  while (!is_operator(")")) {
    if (!stmt.parameters.empty()) expect_operator(",");
    Parameter parameter;
    parameter.text = expect_name("a parameter");
    parameter.name = name_id(parameter.text);
    if (skip_operator("=")) parameter.otherwise = expression();
    else if (!stmt.parameters.empty() && stmt.parameters.back().otherwise)
      refuse_at(now().line, "parameter '{}' has no default, the one before it has", parameter.text);
    stmt.parameters.push_back(std::move(parameter));
  }
  expect_operator(")");
}

void Parser::macro_body(Stmt& stmt, std::string_view end) {
  const bool outer = std::exchange(conditional_, false);
  const size_t begin = at_;
  stmt.body = captured_body(end);
  conditional_ = outer;
  for (size_t i = begin; i < at_; ++i) {
    if (tokens_[i].kind != TokenKind::kName) continue;
    stmt.uses_varargs = stmt.uses_varargs || tokens_[i].text == "varargs";
    stmt.uses_kwargs = stmt.uses_kwargs || tokens_[i].text == "kwargs";
    stmt.uses_caller = stmt.uses_caller || tokens_[i].text == "caller";
  }
}

void Parser::macro_tag(Stmt& stmt) {
  stmt.text = expect_name("a macro's name");
  stmt.target.name = name_id(stmt.text);
  signature(stmt);
  macro_body(stmt, "endmacro");
}

void Parser::call_tag(Stmt& stmt) {
  stmt.text = "caller";
  if (is_operator("(")) signature(stmt);
  stmt.expr = expression();
  if (stmt.expr->kind != ExprKind::kCall) refuse_at(stmt.line, "the tag 'call' needs a call");
  macro_body(stmt, "endcall");
}

void Parser::filter_tag(Stmt& stmt) {
  stmt.expr = filter(nullptr);
  stmt.body = captured_body("endfilter");
}

void Parser::generation_tag(Stmt& stmt) { stmt.body = captured_body("endgeneration"); }

void Parser::with_tag(Stmt& stmt) {
  while (now().kind != TokenKind::kBlockEnd) {
    if (!stmt.assignments.empty()) expect_operator(",");
    Target where = target(false);
    expect_operator("=");
    stmt.assignments.emplace_back(std::move(where), expression());
  }
  stmt.body = body_until("endwith");
}

void Parser::jump_tag(Stmt& stmt) {
  if (loops_ == 0) refuse_at(stmt.line, "'{}' is outside of a loop", tokens_[at_ - 1].text);
}

Target Parser::target(bool tuple) {
  const Level level(*this);
  Target result;
  result.line = now().line;
  if (skip_operator("(")) {
    result = target(true);
    expect_operator(")");
  } else {
    const std::string name = expect_name("a name");
    for (const char* reserved : {"true", "false", "none", "True", "False", "None"})
      if (name == reserved) refuse_at(result.line, "cannot assign to {}", name);
    result.name = name_id(name);
    if (skip_operator(".")) result.attribute = expect_name("an attribute");
  }
  if (!tuple || !is_operator(",")) return result;
  Target all;
  all.line = result.line;
  all.parts.push_back(std::move(result));
  while (skip_operator(",")) {
    if (is_name("in") || is_operator("=") || is_operator(")")) break;
    all.parts.push_back(target(false));
  }
  return all;
}

bool Parser::skip_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  take();
  return true;
}

bool Parser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

void Parser::expect_operator(std::string_view text) {
  if (!skip_operator(text)) unexpected(std::string(text).c_str());
}

std::string Parser::expect_name(const char* what) {
  if (now().kind != TokenKind::kName) unexpected(what);
  return take().text;
}

void Parser::expect_end(TokenKind kind) {
  if (now().kind != kind) unexpected(kind == TokenKind::kBlockEnd ? "%}" : "}}");
  take();
}

void Parser::unexpected(const char* wanted) const {
  refuse_at(now().line, "found {}, expected {}", token_text(now()), wanted);
}

std::string token_text(const Token& token) {
  switch (token.kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kVariableBegin:
      return "{{";
    case TokenKind::kVariableEnd:
      return "}}";
    case TokenKind::kBlockBegin:
      return "{%";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return fmt::format("'{}'", token.text.substr(0, 40));
  }
}

}  // namespace margay::jinja
