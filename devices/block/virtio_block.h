// A virtio block device (Virtio 1.2, 5.2): takes requests out of its ring, has an IoPool carry them out on a
// Disk, and completes them in whatever order they end. Data moves between file and guest memory without a
// copy of ours.
//
// Threads: requests are read on the doorbell thread, carried out and completed on the pool's. A reset waits
// for the requests that are just being carried out, forgets the others, and no byte of guest memory is
// written afterwards.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/block/block_request.h"
#include "devices/block/disk.h"
#include "devices/block/io_pool.h"
#include "devices/virtio/served_device.h"

namespace patchbay::devices::block {

class VirtioBlock final : public virtio::ServedDevice {
 public:
  static constexpr std::uint16_t kDeviceType = 2;
  static constexpr std::uint32_t kPciClass = 0x018000;  // mass storage, other
  static constexpr std::uint16_t kQueueSize = 128;
  static constexpr std::size_t kIdBytes = 20;           // VIRTIO_BLK_ID_BYTES
  static constexpr std::size_t kRequestsInFlight = 16;  // the others wait in the ring
  static constexpr std::size_t kRangesPerRequest = 16;  // of discard and write zeroes

  /// `id` is what the guest reads as the disk's serial number, cut to 20 bytes. Thread and pool outlive the
  /// device. Throws std::system_error.
  VirtioBlock(std::unique_ptr<Disk> disk, std::string id, virtio::DoorbellThread& thread, IoPool& pool);
  ~VirtioBlock() override;

  /// Requests that ended with an error of the host's, such as a full file system.
  [[nodiscard]] std::uint64_t failed_requests() const noexcept {
    return failed_.load(std::memory_order_relaxed);
  }

 private:
  struct Request;

  void serve() noexcept override;
  void on_reset() noexcept override;
  [[nodiscard]] std::span<const std::byte> config_bytes() const noexcept override {
    return std::as_bytes(std::span(&config_, 1)).first(BlockConfig::kBytes);
  }

  /// Checks the request and submits it, or ends it at once.
  void begin(Request& request, const virtio::Chain& chain) noexcept;
  [[nodiscard]] RequestStatus check(Request& request) const noexcept;
  [[nodiscard]] RequestStatus check_range(std::uint64_t sector, std::uint64_t bytes) const noexcept;
  [[nodiscard]] RequestStatus check_ranges(Request& request) const noexcept;
  void answer_id(const ParsedRequest& parsed) const noexcept;
  /// On the pool's thread.
  void carry_out(Request& request) noexcept;
  [[nodiscard]] RequestStatus perform(Request& request) noexcept;
  /// Under the mutex.
  void complete(Request& request, RequestStatus status) noexcept;

  std::unique_ptr<Disk> disk_;
  std::string id_;
  IoPool& pool_;
  BlockConfig config_;
  std::atomic<std::uint64_t> failed_{0};

  // Under the device's mutex:
  std::unique_ptr<Request[]> requests_;
  std::vector<Request*> free_;
  bool starved_ = false;  // chains wait in the ring for a free request

  std::mutex
      io_mutex_;  // the rest; never taken before the device's mutex by the same thread, only after or alone
  std::condition_variable io_ended_;
  std::uint64_t generation_ = 0;  // of the driver: moves at a reset
  unsigned touching_memory_ = 0;  // requests being carried out
  unsigned submitted_ = 0;        // requests that the pool has or had and that are not back yet
};

}  // namespace patchbay::devices::block
