#include "formats/zip.h"

#include <cstring>

#include "base/error.h"

namespace margay {
namespace {

// Signatures and sizes of the records of APPNOTE.TXT, without their variable parts.
constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr uint64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint64_t kMaxComment = 65535;
constexpr uint16_t kExtra64 = 1;  // id of the extra field with 64-bit sizes

// Numbers of a record, checked to lie in the file.
class Record {
 public:
  Record(const MappedFile& file, uint64_t offset, uint64_t bytes, uint32_t signature, const char* what)
      : data_(file.data() + offset) {
    require(offset <= file.size() && bytes <= file.size() - offset,
            "{}: {} at byte {} reaches out of the file of {} bytes (truncated or damaged zip archive)", file.path(),
            what, offset, file.size());
    require(number<uint32_t>(0) == signature, "{}: there is no {} at byte {} (damaged zip archive)", file.path(), what,
            offset);
  }
  template <class T>
  T number(uint64_t at) const {
    T value;
    std::memcpy(&value, data_ + at, sizeof value);
    return value;
  }

 private:
  const std::byte* data_;
};

struct Directory {
  uint64_t offset, bytes, members;
};

// Offset of the record that ends an archive: the last one whose comment ends with the file.
uint64_t find_end(const MappedFile& file) {
  const uint64_t size = file.size();
  require(size >= kEndBytes, "{}: {} bytes, too short for a zip archive", file.path(), size);
  const uint64_t last = size - kEndBytes, first = last > kMaxComment ? last - kMaxComment : 0;
  for (uint64_t at = last + 1; at-- > first;) {
    uint32_t signature;
    uint16_t comment;
    std::memcpy(&signature, file.data() + at, 4);
    std::memcpy(&comment, file.data() + at + 20, 2);
    if (signature == kEnd && at + kEndBytes + comment == size) return at;
  }
  fail("{}: the zip archive has no end record (truncated file)", file.path());
}

Directory read_end(const MappedFile& file) {
  const uint64_t at = find_end(file);
  const Record end(file, at, kEndBytes, kEnd, "end record");
  Directory directory{end.number<uint32_t>(16), end.number<uint32_t>(12), end.number<uint16_t>(10)};
  uint32_t locator = 0;
  if (at >= kLocator64Bytes) std::memcpy(&locator, file.data() + at - kLocator64Bytes, 4);
  if (locator != kLocator64) return directory;
  const Record link(file, at - kLocator64Bytes, kLocator64Bytes, kLocator64, "zip64 locator");
  const Record end64(file, link.number<uint64_t>(8), kEnd64Bytes, kEnd64, "zip64 end record");
  return {end64.number<uint64_t>(48), end64.number<uint64_t>(40), end64.number<uint64_t>(32)};
}

// The 64-bit numbers of an extra field stand in for those of the record that are all ones, in this order.
void read_extra64(std::span<const std::byte> extra, uint64_t* const (&numbers)[3]) {
  while (extra.size() >= 4) {
    uint16_t id, length;
    std::memcpy(&id, extra.data(), 2);
    std::memcpy(&length, extra.data() + 2, 2);
    extra = extra.subspan(4);
    if (length > extra.size()) return;
    std::span<const std::byte> field = extra.first(length);
    extra = extra.subspan(length);
    if (id != kExtra64) continue;
    for (uint64_t* number : numbers) {
      if (*number != 0xffffffff || field.size() < 8) continue;
      std::memcpy(number, field.data(), 8);
      field = field.subspan(8);
    }
  }
}

}  // namespace

ZipArchive::ZipArchive(const MappedFile& file) : file_(file) {
  const Directory directory = read_end(file);
  require(directory.offset <= file.size() && directory.bytes <= file.size() - directory.offset &&
              directory.members <= directory.bytes / kCentralBytes,
          "{}: the zip directory of {} members in {} bytes at byte {} does not fit the file of {} bytes", file.path(),
          directory.members, directory.bytes, directory.offset, file.size());
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.members; ++i) {
    const Record entry(file, at, kCentralBytes, kCentral, "directory entry");
    const uint64_t name_bytes = entry.number<uint16_t>(28), extra_bytes = entry.number<uint16_t>(30),
                   comment_bytes = entry.number<uint16_t>(32);
    require(name_bytes + extra_bytes + comment_bytes <= file.size() - at - kCentralBytes,
            "{}: the directory entry at byte {} reaches out of the file (damaged zip archive)", file.path(), at);
    const std::string_view name = file.text().substr(at + kCentralBytes, name_bytes);
    uint64_t unpacked = entry.number<uint32_t>(24);
    ZipMember member{entry.number<uint32_t>(42), entry.number<uint32_t>(20), entry.number<uint16_t>(10),
                     (entry.number<uint16_t>(8) & 1) != 0};
    read_extra64(file.bytes().subspan(at + kCentralBytes + name_bytes, extra_bytes),
                 {&unpacked, &member.bytes, &member.header});
    require(member.method != 0 || unpacked == member.bytes, "{}: {} is stored in {} bytes and has {}", file.path(),
            name, member.bytes, unpacked);
    require(members_.emplace(name, member).second, "{}: {} is in the archive twice", file.path(), name);
    at += kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  }
}

std::span<const std::byte> ZipArchive::read(std::string_view name) const {
  const auto found = members_.find(name);
  require(found != members_.end(), "{}: the archive has no {}", file_.path(), name);
  const ZipMember& member = found->second;
  require(member.method == 0, "{}: {} is compressed (method {}); PyTorch stores its files uncompressed", file_.path(),
          name, member.method);
  require(!member.encrypted, "{}: {} is encrypted", file_.path(), name);
  const Record local(file_, member.header, kLocalBytes, kLocal, "local header");
  const uint64_t begin =
      member.header + kLocalBytes + local.number<uint16_t>(26) + local.number<uint16_t>(28);  // name, extra field
  require(begin <= file_.size() && member.bytes <= file_.size() - begin,
          "{}: {} needs bytes {} + {} of a file of {} (truncated or damaged file)", file_.path(), name, begin,
          member.bytes, file_.size());
  return file_.bytes().subspan(begin, member.bytes);
}

}  // namespace margay
