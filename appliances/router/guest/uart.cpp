#include "appliances/router/guest/uart.h"

#include <algorithm>

#include "appliances/router/guest/cpu.h"

namespace patchbay::router::guest {
namespace {

// Offsets and bits of the National Semiconductor PC16550D.
constexpr std::uint16_t kData = 0;
constexpr std::uint16_t kInterruptEnable = 1;
constexpr std::uint16_t kFifoControl = 2;
constexpr std::uint16_t kLineControl = 3;
constexpr std::uint16_t kModemControl = 4;
constexpr std::uint16_t kLineStatus = 5;

constexpr std::uint8_t kReceivedDataInterrupt = 0x01;
constexpr std::uint8_t kFifoEnable = 0x01;
constexpr std::uint8_t kEightBitsNoParity = 0x03;
constexpr std::uint8_t kDtrRtsOut2 = 0x0B;  // OUT2 lets the interrupt through on a PC
constexpr std::uint8_t kDataReady = 0x01;

}  // namespace

void Uart::enable_input() noexcept {
  const auto set = [this](std::uint16_t offset, std::uint8_t value) {
    out8(static_cast<std::uint16_t>(port_ + offset), value);
  };
  set(kLineControl, kEightBitsNoParity);
  set(kFifoControl, kFifoEnable);
  set(kModemControl, kDtrRtsOut2);
  set(kInterruptEnable, kReceivedDataInterrupt);
}

void Uart::write(std::string_view text) noexcept {
  constexpr std::string_view kLost = "\r\n[output lost]\r\n";
  const std::size_t room = kCapacity - (head_ - tail_);
  if (room < text.size() + kLost.size()) {
    if (room < kLost.size()) return;
    text = kLost;
  }
  for (const char c : text)
    queue_[head_++ % kCapacity] = c;
}

bool Uart::flush(std::size_t limit) noexcept {
  const std::size_t start = tail_ % kCapacity;
  const std::size_t count = std::min({limit, head_ - tail_, kCapacity - start});
  if (count > 0) out8_string(static_cast<std::uint16_t>(port_ + kData), &queue_[start], count);
  tail_ += count;
  return !idle();
}

std::size_t Uart::read(std::span<char> to) noexcept {
  std::size_t count = 0;
  while (count < to.size() && (in8(static_cast<std::uint16_t>(port_ + kLineStatus)) & kDataReady) != 0) {
    to[count++] = static_cast<char>(in8(static_cast<std::uint16_t>(port_ + kData)));
  }
  return count;
}

}  // namespace patchbay::router::guest
