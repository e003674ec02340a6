// PyTorch files by hand: pickles instruction by instruction, zip archives member by member.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace margay::test {

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

class MadePickle {
 public:
  explicit MadePickle(uint8_t protocol = 2) { op("\x80").op(raw(protocol)); }
  MadePickle& op(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  MadePickle& text(std::string_view value) { return op("X").op(raw(static_cast<uint32_t>(value.size()))).op(value); }
  MadePickle& integer(int64_t value) { return op("\x8a\x08").op(raw(value)); }
  MadePickle& name(std::string_view module, std::string_view symbol) {
    return op("c").op(module).op("\n").op(symbol).op("\n");
  }
  MadePickle& counts(const std::vector<int64_t>& values) {
    op("(");
    for (const int64_t value : values) integer(value);
    return op("t");
  }
  // A tensor of torch.<type>Storage `key` with `elements`.
  MadePickle& tensor(std::string_view type, std::string_view key, int64_t elements, int64_t offset,
                     const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    name("torch._utils", "_rebuild_tensor_v2").op("((").text("storage").name("torch", std::string(type) + "Storage");
    text(key).text("cpu").integer(elements).op("tQ").integer(offset).counts(shape).counts(strides);
    return op("\x89").name("collections", "OrderedDict").op(")RtR");
  }
  std::string done() const { return bytes_ + "."; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

using ZipMembers = std::vector<std::pair<std::string, std::string>>;  // name, bytes

// An archive of stored members; `method` and `zip64` as the directory says them.
inline std::string made_zip(const ZipMembers& members, uint16_t method = 0, bool zip64 = false) {
  std::string out, directory;
  for (const auto& [name, bytes] : members) {
    const auto size = static_cast<uint32_t>(bytes.size()), offset = static_cast<uint32_t>(out.size());
    const auto length = static_cast<uint16_t>(name.size());
    const std::string extra =
        zip64 ? raw(uint16_t{1}) + raw(uint16_t{24}) + raw(uint64_t{size}) + raw(uint64_t{size}) + raw(uint64_t{offset})
              : "";
    const uint32_t said = zip64 ? 0xffffffff : size, place = zip64 ? 0xffffffff : offset;
    // version, flags, method, time, date, checksum
    const std::string common = raw(uint16_t{20}) + raw(uint16_t{0}) + raw(method) + std::string(8, '\0');
    out += "PK\3\4" + common + raw(size) + raw(size) + raw(length) + raw(uint16_t{0}) + name + bytes;
    directory += "PK\1\2" + raw(uint16_t{20}) + common + raw(said) + raw(said) + raw(length) +
                 raw(static_cast<uint16_t>(extra.size())) + std::string(10, '\0') + raw(place) + name + extra;
  }
  const uint64_t begin = out.size(), count = members.size(), bytes = directory.size();
  out += directory;
  if (zip64) {
    const uint64_t end = out.size();
    out += "PK\6\6" + raw(uint64_t{44}) + raw(uint16_t{45}) + raw(uint16_t{45}) + raw(uint64_t{0}) + raw(count) +
           raw(count) + raw(bytes) + raw(begin);
    out += "PK\6\7" + raw(uint32_t{0}) + raw(end) + raw(uint32_t{1});
  }
  const auto small = [&](uint64_t value) { return zip64 ? raw(~uint32_t{0}) : raw(static_cast<uint32_t>(value)); };
  const uint16_t few = zip64 ? 0xffff : static_cast<uint16_t>(count);
  return out + "PK\5\6" + raw(uint32_t{0}) + raw(few) + raw(few) + small(bytes) + small(begin) + raw(uint16_t{0});
}

// torch.save's archive of a pickle and its storages, keyed "0", "1"...
inline ZipMembers torch_members(const std::string& pickle, const std::vector<std::string>& storages) {
  ZipMembers members = {{"made/data.pkl", pickle}, {"made/byteorder", "little"}};
  for (size_t i = 0; i < storages.size(); ++i) members.emplace_back("made/data/" + std::to_string(i), storages[i]);
  return members;
}

inline std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// {"a": [2, 3] in order, "sub": {"t": its transpose}, "step": 7}
inline std::string small_pickle() {
  MadePickle p;
  p.op("}(").text("a").tensor("Float", "0", 7, 1, {2, 3}, {3, 1});
  p.text("sub").op("}(").text("t").tensor("Float", "0", 7, 1, {3, 2}, {1, 3}).op("u");
  return p.text("step").integer(7).op("u").done();
}

// The form before PyTorch 1.6.
inline std::string made_legacy(const std::string& pickle,
                               const std::vector<std::pair<std::string, std::string>>& data) {
  std::string out = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  out += MadePickle().integer(1001).done() + MadePickle().op("}").text("little_endian").op("\x88s").done() + pickle;
  MadePickle keys;
  keys.op("](");
  for (const auto& [key, bytes] : data) keys.text(key);
  out += keys.op("e").done();
  for (const auto& [key, bytes] : data) out += raw(static_cast<uint64_t>(bytes.size() / 4)) + bytes;
  return out;
}

}  // namespace margay::test
