// Values of Jinja templates: Python's, as far as templates see them. All but namespaces are immutable.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace margay::jinja {

// What went wrong. Template adds its name, and the line that was being evaluated where `line` is 0.
struct Failure {
  std::string message;
  int line = 0;
};

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{fmt::format(format, std::forward<Args>(args)...)};
}
template <class... Args>
[[noreturn]] void refuse_at(int line, fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{fmt::format(format, std::forward<Args>(args)...), line};
}

// Bytes counted in a heap's total for as long as this lives. Movable.
class Charge {
 public:
  Charge() = default;
  Charge(size_t* total, size_t bytes) : total_(total), bytes_(bytes) { *total_ += bytes_; }
  Charge(Charge&& other) noexcept : total_(std::exchange(other.total_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&&) = delete;
  ~Charge() {
    if (total_) *total_ -= bytes_;
  }

 private:
  size_t* total_ = nullptr;
  size_t bytes_ = 0;
};

struct String;
struct List;
struct Dict;
class Object;

// Undefined prints as nothing, is false and empty; any other use of it is an error that says `why`.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};

using StringRef = std::shared_ptr<const String>;
using ListRef = std::shared_ptr<const List>;
using DictRef = std::shared_ptr<const Dict>;
using ObjectRef = std::shared_ptr<Object>;

class Value {
 public:
  Value() = default;  // undefined
  template <class T>
  requires std::is_constructible_v<
      std::variant<Undefined, None, bool, int64_t, double, StringRef, ListRef, DictRef, ObjectRef>, T>
  Value(T data) : data_(std::move(data)) {}
  Value(const char*) = delete;  // not a bool

  template <class T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  template <class T>
  const T& get() const {
    return std::get<T>(data_);
  }
  bool is_undefined() const { return is<Undefined>(); }
  bool is_none() const { return is<None>(); }
  bool is_text() const { return is<StringRef>(); }
  bool is_number() const { return is<bool>() || is<int64_t>() || is<double>(); }
  bool is_whole() const { return is<bool>() || is<int64_t>(); }

  const std::string& text() const;          // of a string
  const std::vector<Value>& items() const;  // of a list
  int64_t whole() const { return is<bool>() ? get<bool>() : get<int64_t>(); }
  double number() const { return is<double>() ? get<double>() : static_cast<double>(whole()); }
  int depth() const;  // containers within containers: 0 of a number, 1 of a flat list

 private:
  std::variant<Undefined, None, bool, int64_t, double, StringRef, ListRef, DictRef, ObjectRef> data_;
};

struct String {
  std::string text;  // UTF-8
  Charge charge;
};

// Python's sequences and iterables. A generator can be gone through once; a view (of a dict) has a length, no index.
enum class Sequence { kList, kTuple, kRange, kView, kGenerator };

struct List {
  std::vector<Value> items;
  Sequence kind = Sequence::kList;
  int depth = 1;
  Charge charge;
  mutable bool consumed = false;  // a generator
};

// Keeps the order of insertion. 1, 1.0 and true are one key, as in Python.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_map<std::string, size_t> index;
  int depth = 1;
  Charge charge;

  const Value* find(const Value& key) const;  // nullptr when absent; throws Failure when the key is a list or a dict
  const Value* find(std::string_view key) const;
};

class Interpreter;
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What is no data: namespaces, macros, functions, the loop.
class Object {
 public:
  virtual ~Object() = default;
  virtual const char* type() const = 0;  // "a namespace", "a macro"
  virtual std::optional<Value> attribute(std::string_view) { return std::nullopt; }
  virtual bool set_attribute(const std::string&, const Value&) { return false; }  // only namespaces can
  virtual bool callable() const { return false; }
  virtual Value call(Interpreter& interpreter, Arguments arguments);
  virtual void clear() {}  // drops the values it holds: the end of the rendering
};

struct Limits {
  int64_t steps = 20'000'000;         // evaluated nodes, and pieces of text or items gone through
  size_t memory = size_t{256} << 20;  // bytes of all values that are alive
  size_t text = size_t{16} << 20;     // bytes of one string, and of the result
  int depth = 1000;                   // evaluations within evaluations
};

inline constexpr int kMaxValueDepth = 100;

// Makes values and counts what they cost. Outlives them.
class Heap {
 public:
  explicit Heap(const Limits& limits) : limits_(limits) {}
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // All throw Failure where a limit is passed.
  Value string(std::string text);
  Value list(std::vector<Value> items, Sequence kind = Sequence::kList);
  Value dict(std::vector<std::pair<Value, Value>> entries);  // a later value of the same key replaces the earlier one
  template <class T, class... Args>
  std::shared_ptr<T> object(Args&&... args) {
    step();
    return std::make_shared<Held<T>>(reserve(sizeof(T) + 64), std::forward<Args>(args)...);
  }
  // For an object that may hold itself by some way round: it lives to the end, when its values are dropped.
  void keep(ObjectRef object) { kept_.push_back(std::move(object)); }

  void step(int64_t count = 1) {
    if ((steps_ += count) > limits_.steps) too_many_steps();
  }
  void pass(size_t bytes) { step(static_cast<int64_t>(bytes / 16)); }  // for going through that much text
  void check_text(size_t bytes) const;  // that a string of this size may be; before it is made
  void check_items(size_t count) const;
  Charge reserve(size_t bytes);
  const Limits& limits() const { return limits_; }

 private:
  template <class T>
  struct Held : T {
    template <class... Args>
    explicit Held(Charge charge, Args&&... args) : T(std::forward<Args>(args)...), charge_(std::move(charge)) {}
    Charge charge_;
  };
  [[noreturn]] void too_many_steps() const;

  Limits limits_;
  size_t used_ = 0;  // bytes
  int64_t steps_ = 0;
  std::vector<ObjectRef> kept_;
};

Value undefined(std::string why);

bool truth(const Value& value);
// The same text for keys of a dict that are equal. Throws Failure for what cannot be a key.
std::string key_text(const Value& key);
bool equal(Heap& heap, const Value& a, const Value& b);
// Less than 0, 0, more than 0. Throws Failure for values that have no order, as Python does.
int compare(Heap& heap, const Value& a, const Value& b);
// What {{ value }} prints, and Python's repr(). Both throw Failure for what cannot be printed.
std::string to_text(Heap& heap, const Value& value);
std::string to_repr(Heap& heap, const Value& value);
// "a string", "undefined", "a list": for messages.
std::string type_name(const Value& value);
// The items that a for loop sees: characters of a string, keys of a dict; a generator's are used up by it.
// Throws Failure when the value is not iterable.
std::vector<Value> iterate(Heap& heap, const Value& value);
// Python's len(); nullopt when the value has none.
std::optional<int64_t> length_of(const Value& value);

}  // namespace margay::jinja
