#include "devices/virtio/served_device.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <system_error>

namespace patchbay::devices::virtio {

ServedDevice::ServedDevice(std::uint16_t type, FeatureSet features, unsigned queues,
                           std::uint16_t maximum_queue_size, DoorbellThread& thread)
    : Device(type, features, queues, maximum_queue_size),
      thread_(thread),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      rings_(queues) {
  if (!wake_) {
    throw std::system_error(
        errno, std::generic_category(),
        "cannot create an eventfd for a device; raise the limit of open files (ulimit -n)");
  }
}

ServedDevice::~ServedDevice() {
  stop_serving();
}

void ServedDevice::start_serving() {
  thread_.add(wake_.get(), [this] { served(); });
  serving_ = true;
}

void ServedDevice::stop_serving() noexcept {
  if (!serving_) return;
  thread_.remove(wake_.get());
  serving_ = false;
}

void ServedDevice::notify(unsigned queue) noexcept {
  if (queue < rings_.size()) wake();
}

void ServedDevice::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_.get(), &one, sizeof one));  // full: it is awake
}

void ServedDevice::served() noexcept {
  const std::lock_guard lock(locks());
  if (live()) serve();
}

void ServedDevice::publish(unsigned queue) noexcept {
  if (running() && rings_[queue].flush()) raise_queue_interrupt(queue);
}

RingError ServedDevice::start_queue(unsigned index, const GuestMemory& memory,
                                    const RingSetup& setup) noexcept {
  return rings_[index].enable(memory, setup);
}

void ServedDevice::on_reset() noexcept {
  for (SplitRing& ring : rings_)
    ring.disable();
}

}  // namespace patchbay::devices::virtio
