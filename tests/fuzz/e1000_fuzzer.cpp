// The e1000 under a driver that does anything: register and configuration accesses of any kind, arbitrary
// guest memory, bursts pulled, released in part and pushed in between. Every byte of the input is part of an
// operation.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "devices/net/e1000/e1000.h"

namespace {

using namespace patchbay;
using namespace patchbay::devices;

class NoMessages final : public MsiVectors {
 public:
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned) noexcept override {}
};
class NoDoorbells final : public Doorbells {
 public:
  bool attach(std::uint64_t, int) noexcept override { return false; }
  void detach(std::uint64_t, int) noexcept override {}
};
class IgnoredPin final : public InterruptPin {
 public:
  void set(bool) noexcept override {}
};

constexpr std::size_t kMemoryBytes = 64 * 1024;

/// Reads every byte that a view claims to have, as a destination would.
void consume(const vswitch::Burst& burst) {
  static std::byte sink[vswitch::kMaxFrameBytes];
  for (std::size_t i = 0; i < burst.size(); ++i) {
    const auto& view = burst[i];
    std::size_t at = view.header_bytes().size();
    std::memcpy(sink, view.header_bytes().data(), at);
    for (const auto& piece : view.tail) {
      if (at + piece.size() > sizeof sink) std::abort();
      std::memcpy(sink + at, piece.data(), piece.size());
      at += piece.size();
    }
    if (at != view.length || view.length < 60) std::abort();
  }
}

/// Of DropCounters or SharedDropCounters.
template <typename Counters>
std::uint64_t total_drops(const Counters& drops) {
  std::uint64_t sum = 0;
  for (const auto& counter : drops)
    sum += counter.value();
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider input(bytes, size);
  std::vector<std::byte> ram(kMemoryBytes);
  const GuestMemory memory({{0, ram}});
  NoMessages messages;
  NoDoorbells doorbells;
  IgnoredPin pin;
  net::E1000Config config;
  config.mac = {2, 0, 0, 0, 0, 1};
  net::E1000 card(config);
  card.attach({&memory, &messages, &pin, &doorbells});
  const std::byte command[2] = {std::byte{7}, std::byte{0}};
  card.config_write(4, command);
  const auto burst = std::make_unique<vswitch::Burst>();
  std::uint64_t offered = 0;

  const auto write = [&](std::uint32_t offset, std::uint32_t value) {
    std::byte data[4];
    std::memcpy(data, &value, 4);
    card.bar_write(0, offset, data);
  };
  // A working state to start from: rings of 16 at 0x1000 and 0x2000.
  write(0x3800, 0x1000);
  write(0x3808, 256);
  write(0x0400, 2);
  write(0x2800, 0x2000);
  write(0x2808, 256);
  write(0x2818, 15);
  write(0x0100, 0x8002 | (1u << 3) | (1u << 5));

  for (int operations = 0; input.remaining_bytes() > 0 && operations < 400; ++operations) {
    switch (input.ConsumeIntegralInRange(0, 7)) {
      case 0: {  // any access to a register window
        std::byte data[8];
        const auto value = input.ConsumeIntegral<std::uint64_t>();
        std::memcpy(data, &value, 8);
        const std::size_t width = std::size_t{1} << input.ConsumeIntegralInRange(0, 3);
        const auto bar = input.ConsumeIntegralInRange(0u, 1u);
        const std::uint64_t limit = card.bar_size(bar) - width;
        const auto offset = input.ConsumeIntegralInRange<std::uint64_t>(0, limit);
        if (input.ConsumeBool()) {
          card.bar_write(bar, offset, std::span(data).first(width));
        } else {
          card.bar_read(bar, offset, std::span(data).first(width));
        }
        break;
      }
      case 1: {  // registers that matter most
        constexpr std::uint32_t kOffsets[] = {0x0000, 0x00C4, 0x00C8, 0x00D0, 0x0100, 0x0400, 0x2800,
                                              0x2804, 0x2808, 0x2810, 0x2818, 0x3800, 0x3804, 0x3808,
                                              0x3810, 0x3818, 0x5000, 0x0038, 0x0020, 0x0010};
        write(kOffsets[input.ConsumeIntegralInRange<std::size_t>(0, std::size(kOffsets) - 1)],
              input.ConsumeIntegral<std::uint32_t>());
        break;
      }
      case 2: {  // guest memory
        const auto at = input.ConsumeIntegralInRange<std::size_t>(0, kMemoryBytes - 1);
        const auto data = input.ConsumeBytes<std::uint8_t>(input.ConsumeIntegralInRange<std::size_t>(0, 64));
        if (!data.empty()) std::memcpy(ram.data() + at, data.data(), std::min(data.size(), kMemoryBytes - at));
        break;
      }
      case 3: {  // a transmit descriptor with sane bounds, and the tail behind it
        const auto index = input.ConsumeIntegralInRange<std::uint32_t>(0, 15);
        const std::uint64_t address = input.ConsumeIntegral<std::uint16_t>();
        const std::uint32_t lower = input.ConsumeIntegral<std::uint32_t>() & 0xFFF00FFF;
        const auto upper = input.ConsumeIntegral<std::uint32_t>();
        std::memcpy(ram.data() + 0x1000 + index * 16, &address, 8);
        std::memcpy(ram.data() + 0x1008 + index * 16, &lower, 4);
        std::memcpy(ram.data() + 0x100C + index * 16, &upper, 4);
        write(0x3818, (index + 1) % 16);
        break;
      }
      case 4: {
        burst->clear();
        card.pull(*burst);
        consume(*burst);
        if (burst->empty()) break;
        const auto consumed = input.ConsumeIntegralInRange<std::size_t>(0, burst->size());
        if (input.ConsumeBool())
          write(input.ConsumeBool() ? 0x3808 : 0x0000, input.ConsumeIntegral<std::uint32_t>());
        card.release(consumed);
        card.counters.in.frames.add(consumed);
        card.counters.in.forwarded.add(consumed);
        break;
      }
      case 5: {
        vswitch::FrameView view;
        const auto data =
            input.ConsumeBytes<std::uint8_t>(input.ConsumeIntegralInRange<std::size_t>(14, 300));
        if (data.size() < 14) break;
        const std::size_t repeat = input.ConsumeIntegralInRange<std::size_t>(0, 40);
        std::vector<vswitch::Piece> pieces;
        const auto all = std::as_bytes(std::span(data));
        std::memcpy(view.header.data(), data.data(), std::min(data.size(), vswitch::kHeaderBytes));
        view.length = static_cast<std::uint32_t>(data.size());
        if (data.size() > vswitch::kHeaderBytes) {
          pieces.push_back(all.subspan(vswitch::kHeaderBytes));
          for (std::size_t i = 0; i < repeat; ++i) {
            pieces.push_back(all);
            view.length += static_cast<std::uint32_t>(all.size());
          }
        }
        view.tail = pieces;
        const vswitch::FrameView* pointer = &view;
        const std::size_t handled = card.push({&pointer, 1});
        if (handled > 1) std::abort();
        offered += handled;
        break;
      }
      case 6:
        card.set_link(input.ConsumeBool());
        (void)card.arm();
        card.disarm();
        break;
      default: {
        std::byte data[4];
        const auto value = input.ConsumeIntegral<std::uint32_t>();
        std::memcpy(data, &value, 4);
        card.config_write(input.ConsumeIntegralInRange<std::uint32_t>(0, 0xFFC), data);
        break;
      }
    }
  }
  const auto& counters = card.counters;
  if (counters.in.frames.value() != counters.in.forwarded.value() + total_drops(counters.in.dropped))
    std::abort();
  if (offered != counters.out.delivered.value() + total_drops(counters.out.dropped)) std::abort();
  return 0;
}
