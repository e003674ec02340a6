#include "base/memory.h"

#include <sys/mman.h>

#include "base/error.h"

namespace margay {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

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

}  // namespace margay
