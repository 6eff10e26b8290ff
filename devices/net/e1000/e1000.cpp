#include "devices/net/e1000/e1000.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace patchbay::devices::net {

using namespace e1000;

namespace {

FileDescriptor checked(int fd, const char* what) {
  if (fd < 0) {
    throw std::system_error(
        errno, std::generic_category(),
        std::string("e1000: ") + what + " failed; raise the limit on open files (ulimit -n)");
  }
  return FileDescriptor(fd);
}

std::uint64_t now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}

constexpr pci::Identity kIdentity{.vendor = 0x8086,
                                  .device = 0x100E,
                                  .subsystem_vendor = 0x8086,
                                  .subsystem = 0x001E,
                                  .revision = 3,
                                  .class_code = 0x020000};

}  // namespace

E1000::E1000(const E1000Config& config)
    : Function(kIdentity),
      Port(config.port_name),
      mac_(config.mac),
      eeprom_(mac_),
      link_up_(config.link_up),
      doorbell_(checked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")),
      throttle_timer_(checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create")),
      wake_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  for (const int fd : {doorbell_.get(), throttle_timer_.get()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(wake_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      throw std::system_error(errno, std::generic_category(), "e1000: epoll_ctl failed");
    }
  }
  add_memory_bar(0, kMmioBytes, false);
  add_io_bar(1, kIoBytes);
  reset_registers();
}

E1000::~E1000() = default;

// --- data path
// -------------------------------------------------------------------------------------------------

Transmitter::Environment E1000::transmit_environment() noexcept {
  return {memory(), (word(reg::kCtrl) & ctrl::kVlanMode) != 0, word(reg::kVet), counters, statistics_};
}

Receiver::Environment E1000::receive_environment() noexcept {
  return {memory(),        filter_,  (word(reg::kCtrl) & ctrl::kVlanMode) != 0,
          word(reg::kVet), counters, statistics_};
}

void E1000::pull(vswitch::Burst& burst) {
  const std::scoped_lock lock(mutex_);
  if (bus_master()) interrupts_.add_cause(transmitter_.pull(burst, transmit_environment()));
  update_interrupt();
}

void E1000::release(std::size_t consumed) {
  const std::scoped_lock lock(mutex_);
  if (!bus_master()) return;
  interrupts_.add_cause(transmitter_.release(consumed, transmit_environment()));
  update_interrupt();
}

std::size_t E1000::push(std::span<const vswitch::FrameView* const> frames) {
  const std::scoped_lock lock(mutex_);
  if (!link_up_ || !bus_master()) {
    counters.out.drop(link_up_ ? vswitch::DropReason::not_ready : vswitch::DropReason::link_down,
                      frames.size());
    return frames.size();
  }
  const Receiver::Result result = receiver_.push(frames, receive_environment());
  interrupts_.add_cause(result.causes);
  update_interrupt();
  return result.handled;
}

bool E1000::arm() {
  const std::scoped_lock lock(mutex_);
  armed_ = true;
  update_interrupt();
  return bus_master() && transmitter_.has_work();
}

void E1000::disarm() {
  const std::scoped_lock lock(mutex_);
  armed_ = false;
  std::uint64_t count = 0;
  while (::read(doorbell_.get(), &count, sizeof count) > 0) {
  }
  while (::read(throttle_timer_.get(), &count, sizeof count) > 0) {
  }
  update_interrupt();
}

void E1000::wake_worker() noexcept {
  if (!armed_) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(doorbell_.get(), &one, sizeof one);
}

// --- link and interrupts
// ----------------------------------------------------------------------------------------

void E1000::set_link(bool up) {
  const std::scoped_lock lock(mutex_);
  if (link_up_ == up) return;
  link_up_ = up;
  link_changed();
  update_interrupt();
}

void E1000::link_changed() noexcept {
  interrupts_.add_cause(cause::kLinkChange);
}

void E1000::update_interrupt() noexcept {
  set_intx(interrupts_.level(now()));
  // While the worker polls, it comes by again soon; while it sleeps, a held-back cause must wake it.
  const auto deadline = interrupts_.deadline();
  if (!armed_ || !deadline) return;
  itimerspec timer{};
  timer.it_value.tv_sec = static_cast<time_t>(*deadline / 1'000'000'000u);
  timer.it_value.tv_nsec = static_cast<long>(*deadline % 1'000'000'000u);
  timerfd_settime(throttle_timer_.get(), TFD_TIMER_ABSTIME, &timer, nullptr);
}

// --- reset
// --------------------------------------------------------------------------------------------------------

void E1000::reset_registers() noexcept {
  words_.fill(0);
  word(reg::kCtrl) = ctrl::kFullDuplex | ctrl::kSpeed1000;
  word(reg::kLedctl) = 0x07068302;
  word(reg::kPba) = 0x00100030;  // 48 KiB receive, 16 KiB transmit
  word(reg::kVet) = 0x8100;
  word(reg::kTipg) = 0x00602008;
  mdic_ = 0;
  io_address_ = 0;
  eeprom_.reset();
  phy_.reset();
  filter_.reset(mac_);
  statistics_.reset();
  interrupts_.reset();
  transmitter_.reset();
  receiver_.reset();
}

void E1000::on_reset() noexcept {
  const std::scoped_lock lock(mutex_);
  reset_registers();
  update_interrupt();
}

// --- register windows
// ---------------------------------------------------------------------------------------------

void E1000::on_bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept {
  std::memset(data.data(), 0, data.size());
  const std::scoped_lock lock(mutex_);
  if (bar == 1) {
    std::uint32_t value = 0;
    if (data.size() != sizeof value) return;
    if (offset == 0) value = io_address_;
    if (offset == 4) value = read_register(io_address_);
    std::memcpy(data.data(), &value, sizeof value);
    return;
  }
  // Registers are 32 bits wide and aligned (13.2.1); 64-bit accesses are two of them, anything else reads
  // zero.
  if (offset % 4 != 0 || data.size() % 4 != 0) return;
  for (std::size_t i = 0; i < data.size(); i += 4) {
    const std::uint32_t value = read_register(static_cast<std::uint32_t>(offset + i));
    std::memcpy(data.data() + i, &value, sizeof value);
  }
}

void E1000::on_bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) noexcept {
  const std::scoped_lock lock(mutex_);
  if (bar == 1) {
    std::uint32_t value = 0;
    if (data.size() != sizeof value) return;
    std::memcpy(&value, data.data(), sizeof value);
    if (offset == 0) io_address_ = value;
    if (offset == 4) write_register(io_address_, value);
    return;
  }
  if (offset % 4 != 0 || data.size() % 4 != 0) return;
  for (std::size_t i = 0; i < data.size(); i += 4) {
    std::uint32_t value = 0;
    std::memcpy(&value, data.data() + i, sizeof value);
    write_register(static_cast<std::uint32_t>(offset + i), value);
  }
}

}  // namespace patchbay::devices::net
