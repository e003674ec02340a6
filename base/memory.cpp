#include "base/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/error.h"

namespace margay {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// The bytes of a line "NAME 123 kB" of a file of the kernel's; 0 when it is not there.
int64_t kib_line(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name)) return std::strtoll(line.c_str() + name.size(), nullptr, 10) * 1024;
  return 0;
}

}  // namespace

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "cannot allocate {:.1f} MiB of memory", static_cast<double>(bytes) / (1 << 20));
  if (bytes >= 4 * kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(memory);
}

Buffer::~Buffer() {
  if (data_) munmap(data_, size_);
}

int64_t peak_resident_bytes() { return kib_line("/proc/self/status", "VmHWM:"); }
int64_t available_memory() { return kib_line("/proc/meminfo", "MemAvailable:"); }

bool reset_peak_resident() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

}  // namespace margay
