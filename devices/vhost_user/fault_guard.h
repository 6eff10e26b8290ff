// Keeps a peer that truncates the file behind its shared memory from killing the engine. Touching a page that
// the file no longer has raises SIGBUS; for a guarded mapping the handler puts anonymous zero pages in its
// place, notes that the mapping is lost, and lets the access go on. The peer's rings then read as zeros and
// the owner disconnects it.
//
// All mappings are guarded, those of memfds sealed against shrinking as well: a page without memory behind it
// (hugepages used up, a full tmpfs) raises the same signal. DPDK's files are not sealed, so seals could not
// be asked for. Faults outside guarded mappings go on to the handler that was installed before, or kill the
// process.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>

namespace patchbay::devices::vhost_user {

class FaultGuard {
 public:
  /// Guards a whole mapping: `mapping` starts and ends where mmap() did. Throws std::runtime_error when more
  /// than 1,024 mappings are guarded already. Any thread.
  explicit FaultGuard(std::span<std::byte> mapping);
  /// Must come before munmap(), when no thread touches the mapping any more.
  ~FaultGuard();
  FaultGuard(const FaultGuard&) = delete;
  FaultGuard& operator=(const FaultGuard&) = delete;

  /// True once an access found no page. Any thread.
  [[nodiscard]] bool lost() const noexcept;

  struct Slot {
    std::atomic<std::byte*> start{nullptr};  // nullptr: free
    std::atomic<std::size_t> bytes{0};
    std::atomic<bool> lost{false};
  };

 private:
  Slot* slot_;
};

}  // namespace patchbay::devices::vhost_user
