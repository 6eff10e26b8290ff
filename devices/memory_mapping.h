// Owner of one mmap() of a file descriptor: unmaps it exactly once. Used for guest memory, configuration
// pages and the shared page of a vCPU.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace patchbay::devices {

class MemoryMapping {
 public:
  MemoryMapping() = default;
  /// Maps `bytes` of `fd` from offset 0, shared. Throws std::system_error naming `what`.
  MemoryMapping(int fd, std::size_t bytes, int protection, const char* what) : size_(bytes) {
    void* address = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
      throw std::system_error(errno, std::generic_category(), std::string("cannot map ") + what);
    }
    address_ = address;
  }
  /// Takes ownership of an existing mapping.
  MemoryMapping(void* address, std::size_t bytes) noexcept : address_(address), size_(bytes) {}
  MemoryMapping(MemoryMapping&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MemoryMapping& operator=(MemoryMapping&& other) noexcept {
    if (this != &other) {
      unmap();
      address_ = std::exchange(other.address_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  MemoryMapping(const MemoryMapping&) = delete;
  MemoryMapping& operator=(const MemoryMapping&) = delete;
  ~MemoryMapping() { unmap(); }

  [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(address_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data(), size_}; }

 private:
  void unmap() noexcept {
    if (address_ != nullptr) ::munmap(address_, size_);
  }

  void* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace patchbay::devices
