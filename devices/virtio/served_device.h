// A virtio device that a DoorbellThread serves: owns its split rings and its doorbell, and turns the
// doorbell, the driver's DRIVER_OK and its own wishes into calls of serve(). Device types derive from it and
// only look at chains.
//
// Threads: serve() runs on the doorbell thread with the device's mutex held. A driver that keeps a ring busy
// gets kChainsPerTurn chains, then the other devices have their turn.
#pragma once

#include <cstdint>
#include <vector>

#include "devices/bus.h"
#include "devices/virtio/device.h"
#include "devices/virtio/doorbell_thread.h"
#include "devices/virtio/split_ring.h"

namespace patchbay::devices::virtio {

class ServedDevice : public Device {
 public:
  /// All queues ring one descriptor.
  [[nodiscard]] int doorbell(unsigned) const noexcept final { return wake_.get(); }
  void notify(unsigned queue) noexcept final;

 protected:
  static constexpr unsigned kChainsPerTurn = 64;

  /// The thread outlives the device. Throws std::system_error.
  ServedDevice(std::uint16_t type, FeatureSet features, unsigned queues, std::uint16_t maximum_queue_size,
               DoorbellThread& thread);
  ~ServedDevice() override;

  /// Calls served() from now on; the last statement of the derived class's constructor. Its destructor calls
  /// stop_serving() first: afterwards no call comes any more.
  void start_serving();
  void stop_serving() noexcept;

  /// Deals with what waits in the rings. Only called while the device is live.
  virtual void serve() noexcept = 0;
  /// Asks for a call of serve(); any thread.
  void wake() noexcept;

  /// The ring of a queue; disabled until the driver enables it. Under the mutex.
  [[nodiscard]] SplitRing& ring(unsigned queue) noexcept { return rings_[queue]; }
  /// Publishes what was completed and interrupts the driver if it wants that.
  void publish(unsigned queue) noexcept;
  /// The usual serve() of a queue: `handle(chain)` for every waiting chain, elements in segments(). It
  /// completes the chain itself, now or later, and returns false to leave it in the ring and stop.
  template <typename Handle>
  void each_chain(unsigned queue, Handle handle) noexcept {
    SplitRing& from = rings_[queue];
    from.disable_notifications();
    for (unsigned turn = 0;; ++turn) {
      if (turn == kChainsPerTurn) {
        wake();
        break;
      }
      segments_.clear();
      Chain chain;
      const SplitRing::Mark before = from.mark();
      const PopStatus status = from.pop(segments_, chain);
      if (status == PopStatus::empty) {
        if (from.enabled() && from.enable_notifications()) continue;  // one came in between
        break;
      }
      if (status == PopStatus::broken) {
        stop(from.error());
        break;
      }
      if (status == PopStatus::overlong) {
        from.complete(chain.id, 0);
        continue;
      }
      if (!handle(chain)) {
        from.rewind(before);
        break;
      }
    }
    publish(queue);
  }
  [[nodiscard]] const SegmentList& segments() const noexcept { return segments_; }

  // virtio::Device; a derived class that overrides them calls these too
  [[nodiscard]] RingError start_queue(unsigned index, const GuestMemory& memory,
                                      const RingSetup& setup) noexcept override;
  void on_driver_ok() noexcept override { wake(); }
  void on_reset() noexcept override;

 private:
  void served() noexcept;

  DoorbellThread& thread_;
  FileDescriptor wake_;
  bool serving_ = false;
  std::vector<SplitRing> rings_;
  SegmentList segments_;
};

}  // namespace patchbay::devices::virtio
