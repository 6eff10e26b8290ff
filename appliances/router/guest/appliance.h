// The appliance at work: one loop that moves frames between cards and router core, serves the console and
// timers, and sleeps when nothing happens.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "appliances/router/core/router.h"
#include "appliances/router/guest/buffer_pool.h"
#include "appliances/router/guest/clock.h"
#include "appliances/router/guest/idle_polling.h"
#include "appliances/router/guest/uart.h"
#include "appliances/router/guest/virtio_net.h"
#include "appliances/router/guest/wait_device.h"

namespace patchbay::router::guest {

class Appliance final : public Environment {
 public:
  /// A write to `power_port` switches the machine off.
  Appliance(std::span<VirtioNet> cards, BufferPool& pool, Uart& uart, WaitDevice& wait, const Clock& clock,
            std::uint16_t power_port) noexcept
      : cards_(cards), pool_(pool), uart_(uart), wait_(wait), clock_(clock), power_port_(power_port) {}

  /// Works for `router`, which was created with this object as its environment, for ever.
  [[noreturn]] void run(Router& router) noexcept;

  [[nodiscard]] std::size_t transmit(InterfaceId interface, std::span<PacketBuffer* const> packets) override {
    return cards_[interface].transmit(packets);
  }
  void release(std::span<PacketBuffer* const> packets) override {
    for (PacketBuffer* packet : packets)
      pool_.give(packet);
  }
  [[nodiscard]] PacketBuffer* allocate(std::size_t bytes) override {
    return bytes <= pool_.frame_bytes() ? pool_.take() : nullptr;
  }

 private:
  enum class Traffic { none, moved, held };  // held: frames wait for room in a transmit ring

  [[nodiscard]] bool congested(Nanoseconds now) noexcept;
  [[nodiscard]] Traffic forward(Router& router, Nanoseconds now) noexcept;
  [[nodiscard]] bool serve_console(Router& router, Nanoseconds now) noexcept;
  void take_signals(Nanoseconds now) noexcept;
  void check_links(Router& router, Nanoseconds now) noexcept;
  [[noreturn]] void power_off() noexcept;
  /// Asks for a wake-up by what `traffic` waits for; true if it is there already.
  [[nodiscard]] bool arm(Traffic traffic, Nanoseconds now) noexcept;
  void sleep(Traffic traffic, Nanoseconds now, Nanoseconds deadline) noexcept;

  std::span<VirtioNet> cards_;
  BufferPool& pool_;
  Uart& uart_;
  WaitDevice& wait_;
  const Clock& clock_;
  std::uint16_t power_port_;
  IdlePolling idle_;
  std::size_t next_card_ = 0;  // whose turn it is to receive
  bool input_waiting_ = false;
  Nanoseconds link_check_ = kNever;
  Nanoseconds last_link_check_ = 0;
};

}  // namespace patchbay::router::guest
