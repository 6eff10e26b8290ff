#include "appliances/router/guest/appliance.h"

#include <algorithm>

#include "appliances/router/guest/cpu.h"

namespace patchbay::router::guest {
namespace {

/// Bytes to and from the console in one round: each is an exit, and frames wait meanwhile.
constexpr std::size_t kConsolePortion = 16;
/// Carrier changes come with the same signal as frames do and take a register access per card to see, so they
/// are looked for after signals, but not more often than this.
constexpr Nanoseconds kLinkCheckInterval = kSecond;

}  // namespace

bool Appliance::congested(Nanoseconds now) noexcept {
  bool any = false;
  for (VirtioNet& card : cards_)
    any |= card.congested(now);
  return any;
}

Appliance::Traffic Appliance::forward(Router& router, Nanoseconds now) noexcept {
  std::array<PacketBuffer*, kBurstPackets> packets;
  Traffic traffic = Traffic::none;
  for (std::size_t i = 0; i < cards_.size(); ++i) {
    const std::size_t turn = next_card_;
    next_card_ = turn + 1 < cards_.size() ? turn + 1 : 0;
    if (!cards_[turn].frames_waiting()) continue;
    if (congested(now)) {
      next_card_ = turn;
      return traffic == Traffic::none ? Traffic::held : traffic;
    }
    traffic = Traffic::moved;
    const std::size_t count = cards_[turn].receive(packets);
    router.receive(std::span(packets).first(count), now);
  }
  return traffic;
}

bool Appliance::serve_console(Router& router, Nanoseconds now) noexcept {
  bool worked = false;
  if (input_waiting_) {
    std::array<char, kConsolePortion> typed;
    const std::size_t count = uart_.read(typed);
    input_waiting_ = count == typed.size();
    if (count > 0) router.console().input({typed.data(), count}, now);
    worked = true;
  }
  if (!uart_.idle()) {
    uart_.flush(kConsolePortion);
    worked = true;
  }
  return worked;
}

void Appliance::take_signals(Nanoseconds now) noexcept {
  const std::uint32_t signals = wait_.take_pending();
  if ((signals & WaitDevice::kDeviceWork) != 0 && link_check_ == kNever) {
    link_check_ = std::max(now, last_link_check_ + kLinkCheckInterval);
  }
  if ((signals & WaitDevice::kConsoleInput) != 0) input_waiting_ = true;
  if ((signals & WaitDevice::kPowerButton) != 0) power_off();
}

void Appliance::power_off() noexcept {
  uart_.write("\r\npower off\r\n");
  while (uart_.flush(kConsolePortion)) {
  }
  out32(power_port_, 0);
  crash();  // the machine is still on
}

void Appliance::check_links(Router& router, Nanoseconds now) noexcept {
  for (std::size_t i = 0; i < cards_.size(); ++i) {
    router.set_link(static_cast<InterfaceId>(i), cards_[i].link_up(), now);
  }
  last_link_check_ = now;
  link_check_ = kNever;
}

bool Appliance::arm(Traffic traffic, Nanoseconds now) noexcept {
  bool ready = false;
  if (traffic != Traffic::held) {
    for (VirtioNet& card : cards_)
      ready |= card.arm_receive();
    return ready;
  }
  // Room is what it waits for; new frames are of no interest. There may be room again since forward() looked.
  bool full = false;
  for (VirtioNet& card : cards_) {
    if (!card.congested(now)) continue;
    full = true;
    ready |= card.arm_transmit();
  }
  return ready || !full;
}

void Appliance::sleep(Traffic traffic, Nanoseconds now, Nanoseconds deadline) noexcept {
  if (traffic == Traffic::held) deadline = std::min(deadline, now + TransmitHold::kLongest);
  if (!arm(traffic, now)) wait_.wait(clock_.tsc_at(deadline));
}

void Appliance::run(Router& router) noexcept {
  Nanoseconds deadline = 0;
  for (;;) {
    const Nanoseconds now = clock_.now();
    take_signals(now);
    const Traffic traffic = forward(router, now);
    const bool typed = serve_console(router, now);
    if (now >= link_check_) check_links(router, now);
    if (traffic != Traffic::none || typed || now >= deadline) {
      deadline = router.poll(now);
      for (VirtioNet& card : cards_)
        card.flush();
    }
    if (traffic == Traffic::moved || typed) {
      idle_.worked(now);
    } else if (!idle_.exhausted(now)) {
      pause();
    } else {
      sleep(traffic, now, std::min(deadline, link_check_));
      idle_.slept();
    }
  }
}

}  // namespace patchbay::router::guest
