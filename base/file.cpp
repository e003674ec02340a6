#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace margay {

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "{}: cannot open: {}", path, std::strerror(errno));
  struct stat info = {};
  const bool known = fstat(fd, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    close(fd);
    fail("{}: {}", path,
         !known                  ? std::strerror(errno)
         : S_ISDIR(info.st_mode) ? "is a folder, expected a file"
                                 : "is not a regular file");
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* address = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    close(fd);
    require(address != MAP_FAILED, "{}: cannot map {} bytes: {}", path, size_, std::strerror(error));
    data_ = static_cast<const std::byte*>(address);
  } else {
    close(fd);
  }
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(fmt::format("{}.tmp{}", path, getpid())) {
  file_ = std::fopen(temporary_.c_str(), "wbe");
  require(file_ != nullptr, "{}: cannot create: {}", path_, std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (!file_) return;
  std::fclose(file_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  if (bytes && std::fwrite(data, 1, bytes, file_) != bytes)
    fail("{}: cannot write at byte {}: {}", path_, position_, std::strerror(errno));
  position_ += bytes;
}

void AtomicFile::pad_to(uint64_t alignment) {
  static constexpr char kZeros[256] = {};
  for (uint64_t rest = (alignment - position_ % alignment) % alignment; rest > 0;) {
    const uint64_t step = rest < sizeof kZeros ? rest : sizeof kZeros;
    write(kZeros, step);
    rest -= step;
  }
}

void AtomicFile::commit() {
  bool ok = std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
  ok = std::fclose(std::exchange(file_, nullptr)) == 0 && ok;
  if (ok && std::rename(temporary_.c_str(), path_.c_str()) == 0) return;
  const int error = errno;
  unlink(temporary_.c_str());
  fail("{}: cannot write: {}", path_, std::strerror(error));
}

std::string read_text_file(const std::string& path) { return std::string(MappedFile(path).text()); }

void write_text_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

bool file_exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool is_directory(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace margay
