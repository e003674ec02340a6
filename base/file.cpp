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

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Private memory at the border of a huge page, which munmap(address, bytes) frees; nullptr when it is not to be had.
std::byte* huge_memory(size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), length = (bytes + page - 1) / page * page;
  void* memory = mmap(nullptr, length + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* first = static_cast<std::byte*>(memory);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(first) % kHugePage) % kHugePage;
  if (before) munmap(first, before);
  munmap(first + before + length, kHugePage - before);
  madvise(first + before, length, MADV_HUGEPAGE);
  return first + before;
}

// Reads `bytes` from the file's start; false, with errno, when they do not all come.
bool read_all(int fd, std::byte* out, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = pread(fd, out + done, bytes - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;  // it became shorter
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

MappedFile::MappedFile(const std::string& path, const MapOptions& options) : path_(path) {
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
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) {
    close(fd);
    return;
  }
  void* address = options.huge_pages ? huge_memory(size) : mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  bool ok = address != MAP_FAILED && address != nullptr;
  int error = errno;
  if (ok && options.huge_pages && !read_all(fd, static_cast<std::byte*>(address), size)) {
    error = errno;
    munmap(address, size);
    ok = false;
  }
  close(fd);
  require(ok, "{}: cannot {} {} bytes: {}", path, options.huge_pages ? "copy" : "map", size, std::strerror(error));
  data_ = static_cast<const std::byte*>(address);
  size_ = size;
  if (options.huge_pages) mprotect(address, size, PROT_READ);
  if (options.lock && mlock(address, size) != 0 && options.warn)
    options.warn(
        fmt::format("{}: its {:.0f} MiB could not be locked in memory: {}; raise the limit (ulimit -l), or "
                    "leave --lock out",
                    path, static_cast<double>(size) / (1 << 20), std::strerror(errno)));
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

void release_pages(const void* data, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page,
                  end = (reinterpret_cast<uintptr_t>(data) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

MemoryFile::MemoryFile() : fd_(memfd_create("margay", MFD_CLOEXEC)), path_(fmt::format("/proc/self/fd/{}", fd_)) {
  require(fd_ >= 0, "cannot create a file in memory: {}", std::strerror(errno));
}

MemoryFile::~MemoryFile() { close(fd_); }

void MemoryFile::write(const void* data, size_t bytes) {
  for (auto* rest = static_cast<const char*>(data); bytes > 0;) {
    const ssize_t written = ::write(fd_, rest, bytes);
    if (written < 0 && errno == EINTR) continue;
    require(written > 0, "cannot write {} bytes to a file in memory: {}", bytes, std::strerror(errno));
    rest += written;
    bytes -= static_cast<size_t>(written);
  }
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
