// Files: read-only mapping of inputs, atomic writing of outputs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace margay {

struct MapOptions {
  // Copies the file into memory of huge pages: reads some percent faster, at the price of reading all of it first and
  // of memory that other processes cannot share.
  bool huge_pages = false;
  bool lock = false;                                               // keeps it in memory: no page of it is ever dropped
  std::function<void(const std::string& message)> warn = nullptr;  // told why locking was refused, in one line
};

// A file mapped read-only for its lifetime. Movable. Throws Error with the path when it cannot be opened,
// is a folder, or cannot be mapped. An empty file maps to an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::string& path, const MapOptions& options = {});
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::string& path() const { return path_; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// Lets go of the whole pages in [data, data + bytes) of a MappedFile without huge pages: they leave this process's memory
// and come back from the file when they are read again.
void release_pages(const void* data, size_t bytes);

// A file without a name, in memory: gone with this object and all its mappings. path() opens it as any other file.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  void write(const void* data, size_t bytes);  // appends; throws Error when memory is short
  const std::string& path() const { return path_; }

 private:
  int fd_ = -1;
  std::string path_;
};

// Writes to PATH.tmp<pid>, and commit() flushes it to disk and renames it: a kill at any moment leaves the old file or
// the new one. Without commit() the temporary file is removed. All members throw Error with the path on failure.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  uint64_t position() const { return position_; }
  void commit();

 private:
  std::string path_, temporary_;
  std::FILE* file_ = nullptr;
  uint64_t position_ = 0;
};

// The whole file as text. Throws Error.
std::string read_text_file(const std::string& path);
void write_text_file(const std::string& path, std::string_view text);  // atomic
bool file_exists(const std::string& path);
bool is_directory(const std::string& path);

}  // namespace margay
