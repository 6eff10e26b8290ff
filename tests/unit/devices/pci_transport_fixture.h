// A virtio card behind PCI, with a driver's accesses and the machine around it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "devices/net/virtio_net.h"
#include "devices/virtio/pci_transport.h"
#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/net_fixture.h"

namespace patchbay::devices::virtio {

/// The machine around the function.
class Machine final : public MsiVectors, public InterruptPin, public Doorbells {
 public:
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned vector) noexcept override { ++raised[vector]; }
  void set(bool level) noexcept override { asserted = level; }
  bool attach(std::uint64_t address, int fd) noexcept override {
    if (doorbells_work) doorbells.emplace(address, fd);
    return doorbells_work;
  }
  void detach(std::uint64_t address, int) noexcept override { doorbells.erase(address); }

  std::map<unsigned, unsigned> raised;
  bool asserted = false;
  bool doorbells_work = true;
  std::map<std::uint64_t, int> doorbells;
};

inline constexpr std::uint64_t kBar0 = 0xE000'0000;
inline constexpr std::uint64_t kBar2 = 0xE001'0000;

// Offsets in the common configuration (4.1.4.3).
enum Common : std::uint64_t {
  kDeviceFeatureSelect = 0,
  kDeviceFeature = 4,
  kDriverFeatureSelect = 8,
  kDriverFeature = 12,
  kConfigVector = 16,
  kNumQueues = 18,
  kStatus = 20,
  kGeneration = 21,
  kQueueSelect = 22,
  kQueueSize = 24,
  kQueueVector = 26,
  kQueueEnable = 28,
  kQueueNotifyOff = 30,
  kQueueDescriptors = 32,
  kQueueDriver = 40,
  kQueueDevice = 48,
};

class PciTransportTest : public ::testing::Test {
 protected:
  PciTransportTest() {
    function.attach({&ram.memory(), &machine, &machine, &machine});
    config_write<std::uint32_t>(0x10, kBar0);
    config_write<std::uint32_t>(0x14, 0);
    config_write<std::uint32_t>(0x18, kBar2);
    config_write<std::uint16_t>(0x04, 0x6);  // memory space, bus master
  }

  template <typename T>
  T config_read(std::uint32_t offset) {
    T value{};
    function.config_read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void config_write(std::uint32_t offset, T value) {
    function.config_write(offset, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  T bar_read(std::uint64_t offset, unsigned bar = 0) {
    T value{};
    function.bar_read(bar, offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void bar_write(std::uint64_t offset, T value, unsigned bar = 0) {
    function.bar_write(bar, offset, std::as_bytes(std::span(&value, 1)));
  }

  struct Capability {
    std::uint32_t at;
    std::uint8_t bar;
    std::uint32_t offset;
    std::uint32_t length;
  };
  /// Finds the vendor capability of a type by walking the list, as a driver does.
  Capability capability(std::uint8_t type) {
    for (std::uint8_t at = config_read<std::uint8_t>(0x34); at != 0;
         at = config_read<std::uint8_t>(at + 1U)) {
      if (config_read<std::uint8_t>(at) == 0x09 && config_read<std::uint8_t>(at + 3U) == type) {
        return {at, config_read<std::uint8_t>(at + 4U), config_read<std::uint32_t>(at + 8U),
                config_read<std::uint32_t>(at + 12U)};
      }
    }
    ADD_FAILURE() << "no capability of type " << int{type};
    return {};
  }
  std::uint8_t msix_capability() {
    std::uint8_t at = config_read<std::uint8_t>(0x34);
    while (at != 0 && config_read<std::uint8_t>(at) != 0x11)
      at = config_read<std::uint8_t>(at + 1U);
    return at;
  }
  void enable_msix() {
    for (unsigned vector = 0; vector < 3; ++vector) {
      bar_write<std::uint32_t>(16 * vector, 0xFEE0'0000, 2);
      bar_write<std::uint32_t>(16 * vector + 8, 0x40 + vector, 2);
      bar_write<std::uint32_t>(16 * vector + 12, 0, 2);
    }
    config_write<std::uint16_t>(msix_capability() + 2U, 0x8000);
  }

  void set_status(std::uint8_t status) { bar_write<std::uint8_t>(kStatus, status); }
  std::uint8_t status() { return bar_read<std::uint8_t>(kStatus); }
  /// Up to FEATURES_OK.
  void negotiate(FeatureSet features = kFeatureVersion1 | net::kFeatureStatus) {
    set_status(0);
    set_status(1);
    set_status(3);
    bar_write<std::uint32_t>(kDriverFeatureSelect, 0);
    bar_write<std::uint32_t>(kDriverFeature, static_cast<std::uint32_t>(features));
    bar_write<std::uint32_t>(kDriverFeatureSelect, 1);
    bar_write<std::uint32_t>(kDriverFeature, static_cast<std::uint32_t>(features >> 32));
    set_status(11);
    ASSERT_EQ(status(), 11);
  }
  void set_up_queue(std::uint16_t index, const testing::DriverRing& ring) {
    const RingSetup setup = ring.setup();
    bar_write<std::uint16_t>(kQueueSelect, index);
    bar_write<std::uint16_t>(kQueueSize, setup.size);
    bar_write<std::uint16_t>(kQueueVector, index);
    bar_write<std::uint32_t>(kQueueDescriptors, static_cast<std::uint32_t>(setup.descriptors));
    bar_write<std::uint32_t>(kQueueDescriptors + 4, static_cast<std::uint32_t>(setup.descriptors >> 32));
    bar_write<std::uint64_t>(kQueueDriver, setup.driver_area);
    bar_write<std::uint64_t>(kQueueDevice, setup.device_area);
    bar_write<std::uint16_t>(kQueueEnable, 1);
    ASSERT_EQ(bar_read<std::uint16_t>(kQueueEnable), 1);
  }
  void start() {
    negotiate();
    set_up_queue(0, rx);
    set_up_queue(1, tx);
    bar_write<std::uint16_t>(kConfigVector, 2);
    set_status(15);
    ASSERT_EQ(status(), 15);
  }
  /// The guest sends a frame; the switch takes it, so the transmit queue interrupts.
  void transmit_one() {
    const std::uint64_t at = ram.allocate(128);
    tx.add({{at, 72}});
    tx.publish();
    auto burst = std::make_unique<vswitch::Burst>();
    card.pull(*burst);
    ASSERT_EQ(burst->size(), 1U);
    card.release(1);
  }

  testing::GuestRam ram;
  Machine machine;
  net::VirtioNet card{"r1:eth0", testing::Guest::default_config()};
  PciTransport function{card, net::VirtioNet::kPciClass};
  testing::DriverRing rx{ram, 16};
  testing::DriverRing tx{ram, 16};
};

}  // namespace patchbay::devices::virtio
