// PyTorch's pickles, read by an interpreter that can build tensors, dicts, lists, tuples, numbers and strings and
// nothing else: a pickle that wants anything more is refused by the name of what it wants, and no code ever runs.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace margay {

// An element type of PyTorch.
struct TorchType {
  const char* storage;  // class of its storage: "FloatStorage"; nullptr where only the dtype has a name
  const char* dtype;    // "float32"
  const char* name;     // as safetensors spells it: "F32"
  DType type;           // kNoType where margay cannot read it
  int bytes;
};
inline constexpr DType kNoType = static_cast<DType>(-1);

// A block of numbers that tensors look into.
struct TorchStorage {
  const TorchType* type;  // nullptr: untyped, elements are bytes
  std::string_view key;
  int64_t elements;
};

struct TorchTensor {
  uint32_t storage;  // index of TorchPickle::storages()
  const TorchType* type;
  int64_t offset;                       // elements
  std::vector<int64_t> shape, strides;  // elements
};

enum class PickleKind : uint8_t {
  kNone,
  kBool,
  kInteger,
  kFloat,
  kString,
  kBytes,
  kTuple,
  kList,
  kDict,
  kStorage,
  kTensor,
  kName,  // of a type or function, on its way to the stack's next instruction
};

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  int64_t integer = 0;          // of a bool or an integer; an index of storages(), tensors() or the table of names
  double number = 0;            // of a float
  std::string_view text;        // of a string or bytes: a piece of the pickle
  std::vector<uint32_t> items;  // values of a tuple or list; of a dict: key, value, key, value...
};

// One pickle (protocol 2 to 5). Values may contain each other in circles: readers bound their depth.
class TorchPickle {
 public:
  // Interprets the pickle at the beginning of `bytes`, which must outlive this object. Throws Error naming `where`: on
  // an instruction or name that is not allowed, a stack or memo that does not fit, more than a million values.
  TorchPickle(std::span<const std::byte> bytes, std::string where);

  size_t size() const { return size_; }  // bytes of the pickle
  const PickleValue& root() const { return values_[root_]; }
  const PickleValue& value(uint32_t id) const { return values_[id]; }
  const std::vector<TorchStorage>& storages() const { return storages_; }
  const std::vector<TorchTensor>& tensors() const { return tensors_; }

 private:
  friend class PickleMachine;
  std::vector<PickleValue> values_;
  std::vector<TorchStorage> storages_;
  std::vector<TorchTensor> tensors_;
  uint32_t root_ = 0;
  size_t size_ = 0;
};

}  // namespace margay
