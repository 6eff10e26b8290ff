// Owner of zeroed memory that comes from the kernel and goes back to it. An allocator keeps large blocks that
// were freed once (glibc raises its threshold for mmap() to their size), so what a lab needs for a while, as
// a capture's ring, would stay with the process.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>

namespace patchbay::vswitch {

class AnonymousMemory {
 public:
  enum class Pages : unsigned char {
    on_use,   // taken from the system as they are touched
    at_once,  // all there from the start
  };

  /// Throws std::system_error with "no memory for " and `purpose`.
  AnonymousMemory(std::size_t bytes, Pages pages, const std::string& purpose) : size_(bytes) {
    const int when = pages == Pages::on_use ? MAP_NORESERVE : MAP_POPULATE;
    void* const memory =
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | when, -1, 0);
    if (memory == MAP_FAILED)
      throw std::system_error(errno, std::generic_category(), "no memory for " + purpose);
    data_ = static_cast<std::byte*>(memory);
  }
  ~AnonymousMemory() { ::munmap(data_, size_); }
  AnonymousMemory(const AnonymousMemory&) = delete;
  AnonymousMemory& operator=(const AnonymousMemory&) = delete;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_;
};

}  // namespace patchbay::vswitch
