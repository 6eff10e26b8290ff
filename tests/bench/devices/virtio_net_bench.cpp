// Frames per second from one guest's transmit ring to another's receive ring, copy included, on one thread.
// The driver doubles run on the same thread; Drivers measures what they cost alone: the figure for the
// devices is the difference. Receive rings are polled, as the router appliance does, so no interrupt is
// raised.
#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <memory>

#include "devices/net/virtio_net.h"
#include "tests/unit/devices/net_driver.h"
#include "vswitch/frame.h"

namespace patchbay::devices {
namespace {

constexpr std::uint16_t kRingSize = 256;
constexpr std::uint32_t kBufferBytes = 2048;
constexpr std::size_t kBurst = vswitch::kBurstFrames;

/// A guest that sends and receives in place, without touching payload, as a forwarding guest does.
class Guest {
 public:
  Guest(virtio::FeatureSet features, std::uint32_t frame_bytes)
      : card_("bench:eth0", config()),
        driver_(ram_, card_,
                {.features = virtio::kFeatureVersion1 | features,
                 .ring_size = kRingSize,
                 .buffer_bytes = kBufferBytes}),
        frame_bytes_(frame_bytes),
        buffers_(ram_.allocate(std::size_t{kRingSize} * kBufferBytes, 4096)) {
    driver_.start();
    driver_.post();
    driver_.rx().disable_interrupts();
    driver_.tx().disable_interrupts();
  }

  net::VirtioNet& card() noexcept { return card_; }

  void send_burst() {
    testing::DriverRing& tx = driver_.tx();
    while (tx.poll()) {
    }
    for (std::size_t i = 0; i < kBurst; ++i) {
      const std::uint64_t at = buffers_ + std::uint64_t{next_++ % kRingSize} * kBufferBytes;
      ram_.store(at, net::NetHeader{});
      tx.add({{at, static_cast<std::uint32_t>(sizeof(net::NetHeader)) + frame_bytes_}});
    }
    tx.publish();
    tx.disable_interrupts();
  }
  std::size_t receive_burst() {
    std::size_t n = 0;
    while (driver_.rx().poll())
      ++n;
    driver_.post();
    driver_.rx().disable_interrupts();
    return n;
  }

 private:
  static net::VirtioNetConfig config() {
    net::VirtioNetConfig config;
    config.mac = {0x02, 0, 0, 0, 0, 1};
    config.queue_size = kRingSize;
    return config;
  }

  testing::GuestRam ram_{4 << 20};
  net::VirtioNet card_;
  testing::NetDriver driver_;
  std::uint32_t frame_bytes_;
  std::uint64_t buffers_;
  std::size_t next_ = 0;
};

void GuestToGuest(benchmark::State& state, virtio::FeatureSet features) {
  const auto a = std::make_unique<Guest>(features, static_cast<std::uint32_t>(state.range(0)));
  const auto b = std::make_unique<Guest>(features, static_cast<std::uint32_t>(state.range(0)));
  const auto burst = std::make_unique<vswitch::Burst>();
  std::array<const vswitch::FrameView*, kBurst> frames;
  std::int64_t received = 0;
  for (auto _ : state) {
    a->send_burst();
    burst->clear();
    a->card().pull(*burst);
    for (std::size_t i = 0; i < burst->size(); ++i)
      frames[i] = &(*burst)[i];
    const std::size_t moved = b->card().push(std::span(frames).first(burst->size()));
    a->card().release(moved);
    received += static_cast<std::int64_t>(b->receive_burst());
  }
  if (received != state.iterations() * static_cast<std::int64_t>(kBurst))
    state.SkipWithError("frames were lost");
  state.SetItemsProcessed(received);
  state.SetBytesProcessed(received * state.range(0));
}

/// Both drivers' work without any device between them.
void Drivers(benchmark::State& state) {
  testing::GuestRam ram(4 << 20);
  testing::DriverRing tx(ram, kRingSize);
  testing::DriverRing rx(ram, kRingSize);
  const virtio::RingSetup setups[] = {tx.setup(), rx.setup()};
  testing::DriverRing* const rings[] = {&tx, &rx};
  const std::uint64_t at = ram.allocate(kBufferBytes);
  std::uint16_t used = 0;
  for (auto _ : state) {
    for (testing::DriverRing* ring : rings) {
      while (ring->poll()) {
      }
      for (std::size_t i = 0; i < kBurst; ++i) {
        ram.store(at, net::NetHeader{});
        ring->add({{at, kBufferBytes, ring == &rx}});
      }
      ring->publish();
    }
    // The least a device can do: hand every chain back in order.
    for (const virtio::RingSetup& setup : setups) {
      for (std::uint16_t i = 0; i < kBurst; ++i) {
        const std::size_t slot = static_cast<std::uint16_t>(used + i) % kRingSize;
        const auto head = ram.load<std::uint16_t>(setup.driver_area + virtio::kAvailRing + 2 * slot);
        ram.store(setup.device_area + virtio::kUsedRing + 8 * slot, virtio::SplitUsedElement{head, 0});
      }
      ram.store<std::uint16_t>(setup.device_area + virtio::kUsedIndex,
                               static_cast<std::uint16_t>(used + kBurst));
    }
    used = static_cast<std::uint16_t>(used + kBurst);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBurst));
}

BENCHMARK(Drivers);
BENCHMARK_CAPTURE(GuestToGuest, plain, virtio::FeatureSet{0})->Arg(64)->Arg(512)->Arg(1518);
BENCHMARK_CAPTURE(GuestToGuest, mergeable_event_index, net::kFeatureMergeableRx | virtio::kFeatureEventIndex)
    ->Arg(64)
    ->Arg(512)
    ->Arg(1518);

}  // namespace
}  // namespace patchbay::devices
