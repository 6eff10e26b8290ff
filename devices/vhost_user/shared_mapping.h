// Memory that a peer shares with us by a file descriptor, mapped.
//
// What a peer may share: memfds and files of tmpfs or hugetlbfs that are as long as it says. Anything else
// could make an access of the switch wait for another program. Truncation is dealt with by FaultGuard.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "devices/memory_mapping.h"
#include "devices/vhost_user/fault_guard.h"

namespace patchbay::devices::vhost_user {

class SharedMapping {
 public:
  /// Maps `size` bytes, at least one, from `offset` of the file; the sum does not overflow. The descriptor is
  /// needed during the call only. Throws std::runtime_error with the reason if it cannot be used.
  SharedMapping(int fd, std::uint64_t offset, std::uint64_t size);

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  /// True if the descriptor is of the file that was mapped.
  [[nodiscard]] bool is_of(int fd) const noexcept;
  /// True if the peer took memory away. Any thread.
  [[nodiscard]] bool lost() const noexcept { return guard_->lost(); }

 private:
  MemoryMapping memory_;
  std::optional<FaultGuard> guard_;  // destroyed before the mapping
  std::span<std::byte> bytes_;
  dev_t device_;  // of the file
  ino_t inode_;
};

}  // namespace patchbay::devices::vhost_user
