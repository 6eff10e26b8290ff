// The lock of a device with several queues, in parts: one for each queue, so that workers at different queues
// do not wait for each other. Whoever holds a part may work with that queue and read what belongs to the
// whole device; whoever holds the whole lock, which is all parts, may change everything.
//
// A worker that copies into buffers of a queue need not keep its part meanwhile: it takes a lease. The whole
// lock waits, some microseconds, until no lease is out, so a device that was reset touches memory no more.
//
// The whole lock is taken by those who have no part, and no lease of this or another lock. Meets
// BasicLockable, as parts do.
#pragma once

#include <sched.h>

#include <cstddef>
#include <memory>
#include <mutex>

#include "vswitch/brief_mutex.h"

namespace patchbay::devices::virtio {

class QueueLocks {
 public:
  class Part {
   public:
    void lock() noexcept { mutex_.lock(); }
    void unlock() noexcept { mutex_.unlock(); }

    /// Runs `use`, for which the part in `held` need not be held. If others may want it (`wanted`), they get
    /// it meanwhile, and a lease keeps the whole lock away.
    template <typename Use>
    static void lease(std::unique_lock<Part>& held, bool wanted, Use use) noexcept {
      if (!wanted) return use();
      Part& part = *held.mutex();
      part.begin_lease();
      held.unlock();
      use();
      held.lock();
      part.end_lease();
    }
    /// The same in two halves. The part is held.
    void begin_lease() noexcept { ++leases_; }
    void end_lease() noexcept { --leases_; }

   private:
    friend QueueLocks;
    void lock_at_rest() noexcept {
      mutex_.lock();
      while (leases_ != 0) {
        mutex_.unlock();
        ::sched_yield();
        mutex_.lock();
      }
    }

    alignas(64) vswitch::BriefMutex mutex_;
    unsigned leases_ = 0;
  };

  /// Precondition: parts >= 1.
  explicit QueueLocks(std::size_t parts) : count_(parts), parts_(std::make_unique<Part[]>(parts)) {}

  [[nodiscard]] Part& part(std::size_t queue) noexcept { return parts_[queue]; }

  void lock() noexcept {
    for (std::size_t i = 0; i < count_; ++i)
      parts_[i].lock_at_rest();
  }
  void unlock() noexcept {
    for (std::size_t i = count_; i-- != 0;)
      parts_[i].unlock();
  }

 private:
  const std::size_t count_;
  const std::unique_ptr<Part[]> parts_;
};

}  // namespace patchbay::devices::virtio
