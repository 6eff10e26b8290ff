#include "devices/net/e1000/e1000.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

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

constexpr std::uint64_t kDelayUnit = 1024;  // ns, of TIDV, TADV, RDTR and RADV

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
  return {.memory = memory(),
          .link_up = link_up_ || phy_.loopback(),
          .vlan_insertion = (word(reg::kCtrl) & ctrl::kVlanMode) != 0,
          .vlan_type = word(reg::kVet),
          .counters = counters,
          .statistics = statistics_};
}

void E1000::add_causes(const Transmitter::Causes& causes) noexcept {
  interrupts_.add_cause(causes.now);
  if (causes.delayed == 0) return;
  interrupts_.add_delayed(causes.delayed, now(), word(reg::kTidv) * kDelayUnit,
                          word(reg::kTadv) * kDelayUnit);
}

void E1000::pull(vswitch::Burst& burst) {
  const std::scoped_lock lock(mutex_);
  if (bus_master()) {
    add_causes(transmitter_.pull(burst, transmit_environment()));
    const bool mac_loopback = (receiver_.control & rctl::kLoopbackMask) == rctl::kLoopbackMac;
    if ((mac_loopback || phy_.loopback()) && !burst.empty()) [[unlikely]]
      loop_back(burst);
  }
  update_interrupt();
}

/// What the guest sends comes back to it (13.4.22 LBM, or in the PHY): a driver's self-test. Once round, one
/// burst at a time: nothing feeds itself.
void E1000::loop_back(vswitch::Burst& burst) noexcept {
  std::array<const vswitch::FrameView*, vswitch::kBurstFrames> frames;
  for (std::size_t i = 0; i < burst.size(); ++i)
    frames[i] = &burst[i];
  static_cast<void>(receive(std::span(frames).first(burst.size()), looped_));
  add_causes(transmitter_.release(burst.size(), transmit_environment()));
  burst.clear();
}

void E1000::release(std::size_t consumed) {
  const std::scoped_lock lock(mutex_);
  if (!bus_master()) return;
  add_causes(transmitter_.release(consumed, transmit_environment()));
  update_interrupt();
}

std::size_t E1000::receive(std::span<const vswitch::FrameView* const> frames,
                           vswitch::PortCounters& frame_counters) noexcept {
  const Receiver::Result result =
      receiver_.push(frames, {.memory = memory(),
                              .filter = filter_,
                              .vlan_stripping = (word(reg::kCtrl) & ctrl::kVlanMode) != 0,
                              .vlan_type = word(reg::kVet),
                              .counters = frame_counters,
                              .statistics = statistics_});
  interrupts_.add_cause(result.causes);
  if (result.received) {
    const std::uint64_t delay = word(reg::kRdtr) * kDelayUnit;
    interrupts_.add_delayed(cause::kRxTimer, delay == 0 ? 0 : now(), delay, word(reg::kRadv) * kDelayUnit);
  }
  return result.handled;
}

std::size_t E1000::push(std::span<const vswitch::FrameView* const> frames) {
  const std::scoped_lock lock(mutex_);
  if (!link_up_ || !bus_master() || phy_.loopback()) {
    counters.out.drop(link_up_ ? vswitch::DropReason::not_ready : vswitch::DropReason::link_down,
                      frames.size());
    return frames.size();
  }
  const std::size_t handled = receive(frames, counters);
  update_interrupt();
  return handled;
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
  [[maybe_unused]] auto bytes = ::read(doorbell_.get(), &count, sizeof count);
  if (std::exchange(timer_set_for_, 0) != 0) {
    constexpr itimerspec kOff{};
    timerfd_settime(throttle_timer_.get(), 0, &kOff, nullptr);  // which also makes it unreadable
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
  const bool level = interrupts_.level(interrupts_.idle() ? 0 : now());
  if (std::exchange(intx_, level) != level) set_intx(level);
  // While the worker polls, it comes by again soon; while it sleeps, a held-back cause must wake it.
  if (!armed_) return;
  const auto deadline = interrupts_.deadline();
  if (!deadline || *deadline == timer_set_for_) return;
  itimerspec timer{};
  timer.it_value.tv_sec = static_cast<time_t>(*deadline / 1'000'000'000u);
  timer.it_value.tv_nsec = static_cast<long>(*deadline % 1'000'000'000u);
  timerfd_settime(throttle_timer_.get(), TFD_TIMER_ABSTIME, &timer, nullptr);
  timer_set_for_ = *deadline;
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
  intx_ = false;
  set_intx(false);
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
