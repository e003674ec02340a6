#include "formats/token_table.h"

#include <bit>
#include <limits>

#include "base/error.h"

namespace margay {

void TokenTable::reserve(size_t texts) {
  entries_.reserve(texts);
  bytes_.reserve(texts * 8);  // what tokens take on average
  grow(std::bit_ceil(2 * texts + 2));
}

void TokenTable::grow(size_t slots) {
  slots_.assign(slots, Slot{});
  for (int64_t i = 0; i < size(); ++i) {
    const uint64_t code = hash(text(i));
    slots_[place(text(i), code)] = {static_cast<uint32_t>(code), static_cast<int32_t>(i)};
  }
}

size_t TokenTable::place(std::string_view text, uint64_t code) const {
  const size_t mask = slots_.size() - 1;
  size_t i = (code >> 32) & mask;  // the other half than the one that is kept
  while (slots_[i].entry >= 0 && (slots_[i].hash != static_cast<uint32_t>(code) || this->text(slots_[i].entry) != text))
    i = (i + 1) & mask;
  return i;
}

bool TokenTable::add(std::string_view text, int32_t id) {
  require(entries_.size() < size_t{std::numeric_limits<int32_t>::max()} &&
              text.size() <= std::numeric_limits<uint32_t>::max(),
          "a vocabulary of {} tokens, one of {} bytes: too large", entries_.size() + 1, text.size());
  if (slots_.size() < 2 * entries_.size() + 2) grow(std::bit_ceil(4 * entries_.size() + 16));
  const uint64_t code = hash(text);
  Slot& slot = slots_[place(text, code)];
  if (slot.entry >= 0) return false;
  slot = {static_cast<uint32_t>(code), static_cast<int32_t>(entries_.size())};
  entries_.push_back({bytes_.size(), static_cast<uint32_t>(text.size()), id});
  bytes_ += text;
  return true;
}

int64_t TokenTable::find(std::string_view text) const {
  return slots_.empty() ? -1 : slots_[place(text, hash(text))].entry;
}

}  // namespace margay
