// Zip archives as PyTorch writes them: read in place, members stored without compression.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace margay {

struct ZipMember {
  uint64_t header = 0;  // offset of its local header
  uint64_t bytes = 0;   // stored
  uint16_t method = 0;  // 0: stored
  bool encrypted = false;
};

// The directory of a zip archive, with 64-bit sizes where it has them. Throws Error naming the file on a directory that
// is cut, lies outside the file, or names a member twice.
class ZipArchive {
 public:
  explicit ZipArchive(const MappedFile& file);  // which must outlive it

  const std::map<std::string_view, ZipMember>& members() const { return members_; }
  bool has(std::string_view name) const { return members_.contains(name); }
  // The bytes of a member. Throws Error where it is absent, compressed, encrypted, or reaches out of the file.
  std::span<const std::byte> read(std::string_view name) const;

 private:
  const MappedFile& file_;
  std::map<std::string_view, ZipMember> members_;
};

}  // namespace margay
