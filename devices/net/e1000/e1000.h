// Intel 82540EM gigabit Ethernet card (PCI 8086:100E, revision 3) as a port of the switch.
//
// Specification: "PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual" (317453). BAR
// 0 holds the registers, BAR 1 the I/O window to them; INTx only, as on the real part.
//
// Threads: register accesses come from vCPU threads, the Port calls from the worker that owns the port. One
// mutex covers the card; the worker takes it once per burst. Frame views stay valid without it: they refer to
// guest memory, which outlives the card, and the guest may change it at any time anyway.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "devices/bus.h"
#include "devices/net/e1000/eeprom.h"
#include "devices/net/e1000/interrupts.h"
#include "devices/net/e1000/phy.h"
#include "devices/net/e1000/receive_filter.h"
#include "devices/net/e1000/receiver.h"
#include "devices/net/e1000/registers.h"
#include "devices/net/e1000/statistics.h"
#include "devices/net/e1000/transmitter.h"
#include "devices/pci/function.h"
#include "vswitch/port.h"

namespace patchbay::devices::net {

struct E1000Config {
  std::string port_name;  // link end, such as "r1:eth0"
  std::array<std::uint8_t, 6> mac{};
  bool link_up = true;
};

class E1000 final : public pci::Function, public vswitch::Port {
 public:
  /// Throws std::system_error if the descriptors for wake-ups cannot be made.
  explicit E1000(const E1000Config& config);
  ~E1000() override;

  void pull(vswitch::Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const vswitch::FrameView* const> frames) override;
  [[nodiscard]] int wake_fd() const noexcept override { return wake_.get(); }
  [[nodiscard]] bool arm() override;
  void disarm() override;
  void set_link(bool up) override;

 protected:
  void on_bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void on_bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) noexcept override;
  void on_reset() noexcept override;

 private:
  // One register: how it is read, how it is written, and which bits a plain write changes. See
  // register_table.cpp.
  struct Register;
  struct RegisterTable;

  [[nodiscard]] std::uint32_t read_register(std::uint32_t offset) noexcept;
  void write_register(std::uint32_t offset, std::uint32_t value) noexcept;
  [[nodiscard]] std::uint32_t& word(std::uint32_t offset) noexcept { return words_[offset / 4]; }

  void reset_registers() noexcept;
  void update_interrupt() noexcept;
  void link_changed() noexcept;
  void add_causes(const e1000::Transmitter::Causes& causes) noexcept;
  [[nodiscard]] std::size_t receive(std::span<const vswitch::FrameView* const> frames,
                                    vswitch::PortCounters& frame_counters) noexcept;
  void loop_back(vswitch::Burst& burst) noexcept;
  void wake_worker() noexcept;
  [[nodiscard]] e1000::Transmitter::Environment transmit_environment() noexcept;

  std::mutex mutex_;
  const std::array<std::uint8_t, 6> mac_;
  e1000::Eeprom eeprom_;
  e1000::Phy phy_;
  e1000::ReceiveFilter filter_;
  e1000::Statistics statistics_;
  e1000::Interrupts interrupts_;
  e1000::Transmitter transmitter_;
  e1000::Receiver receiver_;
  std::array<std::uint32_t, 0x6000 / 4> words_{};  // registers that only remember what was written
  std::uint32_t mdic_ = 0;
  std::uint32_t io_address_ = 0;
  bool link_up_;
  bool intx_ = false;
  bool armed_ = false;               // the worker sleeps and wants to hear of new descriptors
  std::uint64_t timer_set_for_ = 0;  // when throttle_timer_ fires, 0: it is off
  vswitch::PortCounters looped_;     // frames that came back instead of entering the switch

  // wake_ is an epoll descriptor over the two others.
  FileDescriptor doorbell_;        // eventfd: descriptors were queued while the worker slept
  FileDescriptor throttle_timer_;  // timerfd: an interrupt that ITR holds back is due
  FileDescriptor wake_;
};

}  // namespace patchbay::devices::net
