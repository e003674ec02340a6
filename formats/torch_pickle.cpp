#include "formats/torch_pickle.h"

#include <bit>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "base/error.h"

namespace margay {

namespace {

constexpr size_t kMaxValues = 1 << 20;
constexpr size_t kMaxDimensions = 16;

constexpr TorchType kTypes[] = {
    {"FloatStorage", "float32", "F32", DType::F32, 4},
    {"HalfStorage", "float16", "F16", DType::F16, 2},
    {"BFloat16Storage", "bfloat16", "BF16", DType::BF16, 2},
    {"DoubleStorage", "float64", "F64", DType::F64, 8},
    {nullptr, "float8_e4m3fn", "F8_E4M3", DType::F8_E4M3, 1},
    {nullptr, "float8_e5m2", "F8_E5M2", DType::F8_E5M2, 1},
    {"LongStorage", "int64", "I64", DType::I64, 8},
    {"IntStorage", "int32", "I32", DType::I32, 4},
    {"ShortStorage", "int16", "I16", DType::I16, 2},
    {"CharStorage", "int8", "I8", DType::I8, 1},
    {"ByteStorage", "uint8", "U8", kNoType, 1},
    {"BoolStorage", "bool", "BOOL", kNoType, 1},
    {nullptr, "uint16", "U16", kNoType, 2},
    {nullptr, "uint32", "U32", kNoType, 4},
    {nullptr, "uint64", "U64", kNoType, 8},
    {"ComplexFloatStorage", "complex64", "C64", kNoType, 8},
    {"ComplexDoubleStorage", "complex128", "C128", kNoType, 16},
};

// The names that a pickle may use. Those of kTypes come in addition, under "torch".
enum class Callable { kOrderedDict, kRebuildTensor, kRebuildTensorV2, kRebuildTensorV3, kParameter, kSize, kUntyped };
struct CallableName {
  const char *module, *name;
  Callable callable;
};
constexpr CallableName kCallables[] = {
    {"collections", "OrderedDict", Callable::kOrderedDict},
    {"torch._utils", "_rebuild_tensor", Callable::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor_v2", Callable::kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor_v3", Callable::kRebuildTensorV3},
    {"torch._utils", "_rebuild_parameter", Callable::kParameter},
    {"torch", "Size", Callable::kSize},
    {"torch.storage", "UntypedStorage", Callable::kUntyped},
};

// A name's number: first the callables, then the types.
constexpr int64_t kFirstType = std::size(kCallables);

const TorchType* type_of_name(int64_t number) { return number < kFirstType ? nullptr : &kTypes[number - kFirstType]; }

}  // namespace

// The stack machine of pickles. All reads are checked against the bytes that remain, all pops against the stack.
class PickleMachine {
 public:
  PickleMachine(TorchPickle& pickle, std::span<const std::byte> bytes, std::string where)
      : pickle_(pickle), bytes_(bytes), where_(std::move(where)) {}

  void run() {
    while (step(number<uint8_t>())) {
    }
    pickle_.size_ = at_;
  }

 private:
  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}: byte {} of the pickle: {}", where_, op_at_, fmt::format(format, std::forward<Args>(args)...));
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_)
      bad("{} bytes are wanted, {} remain (truncated or damaged file)", count, bytes_.size() - at_);
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + at_, count);
    at_ += count;
    return text;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) bad("a line does not end (truncated or damaged file)");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  void push(PickleValue value) {
    if (pickle_.values_.size() >= kMaxValues) bad("more than {} values", kMaxValues);
    stack_.push_back(static_cast<uint32_t>(pickle_.values_.size()));
    pickle_.values_.push_back(std::move(value));
  }
  void push_integer(int64_t value) { push({.kind = PickleKind::kInteger, .integer = value}); }
  void push_text(PickleKind kind, uint64_t length) { push({.kind = kind, .text = take(length)}); }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }  // no instruction reaches below the last mark
  uint32_t pop() {
    if (stack_.size() <= floor()) bad("the stack is empty");
    const uint32_t id = stack_.back();
    stack_.pop_back();
    return id;
  }
  PickleValue& top() {
    if (stack_.size() <= floor()) bad("the stack is empty");
    return pickle_.values_[stack_.back()];
  }
  std::vector<uint32_t> pop_to_mark() {
    if (marks_.empty()) bad("there is no mark on the stack");
    std::vector<uint32_t> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  void push_tuple(size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push({.kind = PickleKind::kTuple, .items = std::move(items)});
  }
  void append(const std::vector<uint32_t>& items, PickleKind kind) {
    PickleValue& target = top();
    const bool dict = kind == PickleKind::kDict;
    if (target.kind != kind || (dict && items.size() % 2)) bad("{} cannot be filled", dict ? "a dict" : "a list");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  void remember(uint32_t slot) {
    top();
    memo_[slot] = stack_.back();
  }
  void recall(uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) bad("nothing was remembered as {}", slot);
    if (stack_.size() >= kMaxValues) bad("the stack holds more than {} values", kMaxValues);
    stack_.push_back(found->second);
  }

  void push_name(std::string_view module, std::string_view name) {
    for (size_t i = 0; i < std::size(kCallables); ++i)
      if (module == kCallables[i].module && name == kCallables[i].name)
        return push({.kind = PickleKind::kName, .integer = static_cast<int64_t>(i)});
    for (size_t i = 0; module == "torch" && i < std::size(kTypes); ++i)
      if ((kTypes[i].storage && name == kTypes[i].storage) || name == kTypes[i].dtype)
        return push({.kind = PickleKind::kName, .integer = kFirstType + static_cast<int64_t>(i)});
    constexpr size_t kLimit = 200;
    bad("wants {}.{}, which is neither a tensor nor plain data: refused, no code of a file is ever run",
        module.substr(0, kLimit), name.substr(0, kLimit));
  }

  const PickleValue& at(uint32_t id, PickleKind kind, const char* what) const {
    const PickleValue& value = pickle_.values_[id];
    if (value.kind != kind) bad("{} is of another kind", what);
    return value;
  }
  int64_t count_at(uint32_t id, const char* what) const {
    const int64_t value = at(id, PickleKind::kInteger, what).integer;
    if (value < 0) bad("{} is {}", what, value);
    return value;
  }
  std::vector<int64_t> counts_at(uint32_t id, const char* what) const {
    const PickleValue& tuple = at(id, PickleKind::kTuple, what);
    if (tuple.items.size() > kMaxDimensions)
      bad("a tensor of {} dimensions, at most {} are allowed", tuple.items.size(), kMaxDimensions);
    std::vector<int64_t> counts;
    for (const uint32_t item : tuple.items) counts.push_back(count_at(item, what));
    return counts;
  }

  // ("storage", type, key, location, elements[, view]): legacy files name a view of another storage, or None.
  void push_storage() {
    const PickleValue arguments = at(pop(), PickleKind::kTuple, "a persistent id");
    const std::vector<uint32_t>& items = arguments.items;
    if (items.size() < 5 || items.size() > 6 || at(items[0], PickleKind::kString, "a persistent id").text != "storage")
      bad("a persistent id that is no storage");
    const int64_t name = at(items[1], PickleKind::kName, "a storage's type").integer;
    const TorchType* type = type_of_name(name);
    if (!type && kCallables[name].callable != Callable::kUntyped) bad("a storage's type is of another kind");
    if (items.size() == 6 && pickle_.values_[items[5]].kind != PickleKind::kNone)
      bad("a storage that is a view of another one (PyTorch before 0.4) is not supported");
    push({.kind = PickleKind::kStorage, .integer = static_cast<int64_t>(pickle_.storages_.size())});
    pickle_.storages_.push_back(
        {type, at(items[2], PickleKind::kString, "a storage's key").text, count_at(items[4], "a storage's length")});
  }

  // (storage, offset, shape, strides, ...); of v3 the seventh is the type.
  void push_tensor(const std::vector<uint32_t>& arguments, bool v3) {
    if (arguments.size() < (v3 ? 7 : 4)) bad("a tensor of {} arguments", arguments.size());
    TorchTensor tensor;
    tensor.storage = static_cast<uint32_t>(at(arguments[0], PickleKind::kStorage, "a tensor's storage").integer);
    tensor.offset = count_at(arguments[1], "a tensor's offset");
    tensor.shape = counts_at(arguments[2], "a tensor's shape");
    tensor.strides = counts_at(arguments[3], "a tensor's strides");
    if (tensor.shape.size() != tensor.strides.size())
      bad("a tensor of {} dimensions with {} strides", tensor.shape.size(), tensor.strides.size());
    tensor.type = v3 ? type_of_name(at(arguments[6], PickleKind::kName, "a tensor's type").integer)
                     : pickle_.storages_[tensor.storage].type;
    if (!tensor.type) bad("a tensor without a type");
    push({.kind = PickleKind::kTensor, .integer = static_cast<int64_t>(pickle_.tensors_.size())});
    pickle_.tensors_.push_back(std::move(tensor));
  }

  // OrderedDict() or OrderedDict([(key, value), ...]).
  void push_ordered_dict(const std::vector<uint32_t>& arguments) {
    PickleValue dict{.kind = PickleKind::kDict};
    if (arguments.size() > 1) bad("an OrderedDict of {} arguments", arguments.size());
    if (arguments.size() == 1) {
      for (const uint32_t pair : at(arguments[0], PickleKind::kList, "the pairs of an OrderedDict").items) {
        const PickleValue& items = pickle_.values_[pair];
        if ((items.kind != PickleKind::kTuple && items.kind != PickleKind::kList) || items.items.size() != 2)
          bad("the pairs of an OrderedDict are of another kind");
        dict.items.insert(dict.items.end(), items.items.begin(), items.items.end());
      }
    }
    push(std::move(dict));
  }

  void call() {
    const std::vector<uint32_t> arguments = at(pop(), PickleKind::kTuple, "the arguments of a call").items;
    const int64_t name = at(pop(), PickleKind::kName, "what is called").integer;
    if (type_of_name(name)) bad("a type is called");
    switch (kCallables[name].callable) {
      case Callable::kOrderedDict:
        return push_ordered_dict(arguments);
      case Callable::kRebuildTensor:
      case Callable::kRebuildTensorV2:
        return push_tensor(arguments, false);
      case Callable::kRebuildTensorV3:
        return push_tensor(arguments, true);
      case Callable::kParameter:  // (data, requires_grad, hooks)
        if (arguments.empty()) bad("a parameter of no arguments");
        at(arguments[0], PickleKind::kTensor, "a parameter's data");
        stack_.push_back(arguments[0]);
        return;
      case Callable::kSize:
        if (arguments.size() != 1) bad("a torch.Size of {} arguments", arguments.size());
        at(arguments[0], PickleKind::kTuple, "a torch.Size");
        stack_.push_back(arguments[0]);
        return;
      case Callable::kUntyped:
        bad("a type is called");
    }
  }

  // The attributes of an OrderedDict (a state_dict's _metadata) are dropped; nothing else has any.
  void build() {
    pop();
    if (top().kind != PickleKind::kDict) bad("sets attributes of what is no dict");
  }

  void push_long(uint64_t length) {
    if (length > 8) bad("an integer of {} bytes", length);
    const std::string_view bytes = take(length);
    const bool negative = length > 0 && static_cast<signed char>(bytes.back()) < 0;
    int64_t value = negative ? -1 : 0;
    std::memcpy(&value, bytes.data(), length);
    push_integer(value);
  }

  // One instruction, by its byte (pickletools has the names); false at the end.
  bool step(uint8_t op) {
    op_at_ = at_ - 1;
    if (at_ == 1 && op != 0x80) bad("does not begin as a pickle of protocol 2 to 5");
    switch (op) {
      case 0x80: {  // PROTO
        const auto protocol = number<uint8_t>();
        if (protocol < 2 || protocol > 5) bad("protocol {}, expected 2 to 5", protocol);
        return true;
      }
      case 0x95:  // FRAME: only a hint
        number<uint64_t>();
        return true;
      case '.':
        pickle_.root_ = pop();
        return false;
      case '(':
        marks_.push_back(stack_.size());
        if (marks_.size() > kMaxValues) bad("more than {} marks", kMaxValues);
        return true;
      case '0':
        pop();
        return true;
      case '1':
        pop_to_mark();
        return true;
      case '2':  // DUP
        top();
        stack_.push_back(stack_.back());
        if (stack_.size() > kMaxValues) bad("the stack holds more than {} values", kMaxValues);
        return true;
      case 'N':
        push({});
        return true;
      case 0x88:
      case 0x89:
        push({.kind = PickleKind::kBool, .integer = op == 0x88});
        return true;
      case 'J':
        push_integer(number<int32_t>());
        return true;
      case 'K':
        push_integer(number<uint8_t>());
        return true;
      case 'M':
        push_integer(number<uint16_t>());
        return true;
      case 0x8a:
        push_long(number<uint8_t>());
        return true;
      case 0x8b:
        push_long(number<uint32_t>());
        return true;
      case 'G':  // big-endian
        push({.kind = PickleKind::kFloat, .number = std::bit_cast<double>(__builtin_bswap64(number<uint64_t>()))});
        return true;
      case 'X':
      case 'T':
        push_text(PickleKind::kString, number<uint32_t>());
        return true;
      case 0x8c:
      case 'U':
        push_text(PickleKind::kString, number<uint8_t>());
        return true;
      case 0x8d:
        push_text(PickleKind::kString, number<uint64_t>());
        return true;
      case 'B':
        push_text(PickleKind::kBytes, number<uint32_t>());
        return true;
      case 'C':
        push_text(PickleKind::kBytes, number<uint8_t>());
        return true;
      case 0x8e:
      case 0x96:
        push_text(PickleKind::kBytes, number<uint64_t>());
        return true;
      case ']':
        push({.kind = PickleKind::kList});
        return true;
      case 'a':
        append({pop()}, PickleKind::kList);
        return true;
      case 'e':
        append(pop_to_mark(), PickleKind::kList);
        return true;
      case ')':
        push_tuple(0);
        return true;
      case 't':
        push({.kind = PickleKind::kTuple, .items = pop_to_mark()});
        return true;
      case 0x85:
      case 0x86:
      case 0x87:
        push_tuple(op - 0x84u);
        return true;
      case '}':
        push({.kind = PickleKind::kDict});
        return true;
      case 's': {
        const uint32_t value = pop(), key = pop();
        append({key, value}, PickleKind::kDict);
        return true;
      }
      case 'u':
        append(pop_to_mark(), PickleKind::kDict);
        return true;
      case 'h':
        recall(number<uint8_t>());
        return true;
      case 'j':
        recall(number<uint32_t>());
        return true;
      case 'q':
        remember(number<uint8_t>());
        return true;
      case 'r':
        remember(number<uint32_t>());
        return true;
      case 0x94:
        remember(static_cast<uint32_t>(memo_.size()));
        return true;
      case 'c': {
        const std::string_view module = line();
        push_name(module, line());
        return true;
      }
      case 0x93: {
        const uint32_t name = pop(), module = pop();
        push_name(at(module, PickleKind::kString, "a module's name").text,
                  at(name, PickleKind::kString, "a name").text);
        return true;
      }
      case 'R':
      case 0x81:  // NEWOBJ: an OrderedDict may be made that way too
        call();
        return true;
      case 'b':
        build();
        return true;
      case 'Q':
        push_storage();
        return true;
      default:
        bad("instruction 0x{:02x} builds what is neither a tensor nor plain data (sets, objects, text protocols)", op);
    }
  }

  TorchPickle& pickle_;
  std::span<const std::byte> bytes_;
  std::string where_;
  size_t at_ = 0, op_at_ = 0;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, uint32_t> memo_;
};

TorchPickle::TorchPickle(std::span<const std::byte> bytes, std::string where) {
  PickleMachine(*this, bytes, std::move(where)).run();
}

}  // namespace margay
