// Aligned memory for arenas and states, and how much the process has used.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

namespace margay {

// 64-byte aligned, zeroed bytes; large ones ask for huge pages. Throws Error when the memory is not to be had.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The most memory that this process had at a time, in bytes, mapped files included (VmHWM of /proc/self/status); 0 where
// the system does not tell.
int64_t peak_resident_bytes();
// Starts counting anew from what is resident now; false where the system does not allow it.
bool reset_peak_resident();

// Bytes that can be had without swapping (MemAvailable); 0 where the system does not tell.
int64_t available_memory();

}  // namespace margay
