// A small guest memory for tests of device models: one region of page-aligned host memory, with an allocator
// for the driver doubles that live in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "devices/guest_memory.h"

namespace patchbay::devices::testing {

class GuestRam {
 public:
  static constexpr std::uint64_t kBase = 0x10'0000;

  explicit GuestRam(std::size_t bytes = 1 << 20)
      : host_(static_cast<std::byte*>(std::aligned_alloc(4096, bytes))),
        bytes_(bytes),
        memory_({{kBase, std::span(host_.get(), bytes)}}) {
    std::memset(host_.get(), 0, bytes);
  }

  [[nodiscard]] const GuestMemory& memory() const noexcept { return memory_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return kBase + bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {host_.get(), bytes_}; }
  /// Host memory behind a guest address, which must lie in the region.
  [[nodiscard]] std::byte* at(std::uint64_t address) const noexcept {
    return host_.get() + (address - kBase);
  }
  template <typename T>
  [[nodiscard]] T load(std::uint64_t address) const noexcept {
    T value;
    std::memcpy(&value, at(address), sizeof value);
    return value;
  }
  template <typename T>
  void store(std::uint64_t address, const T& value) const noexcept {
    std::memcpy(at(address), &value, sizeof value);
  }

  /// Throws std::bad_alloc when the region is used up.
  std::uint64_t allocate(std::size_t bytes, std::size_t alignment = 64) {
    const std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
    if (start + bytes > bytes_) throw std::bad_alloc();
    used_ = start + bytes;
    return kBase + start;
  }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> host_;
  std::size_t bytes_;
  std::size_t used_ = 0;
  GuestMemory memory_;
};

}  // namespace patchbay::devices::testing
