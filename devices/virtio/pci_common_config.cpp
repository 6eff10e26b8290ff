#include "devices/virtio/pci_common_config.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace patchbay::devices::virtio {

/// One register of struct virtio_pci_common_cfg. The 64-bit addresses are two registers each: drivers write
/// them as two 32-bit halves (4.1.3.1).
struct PciCommonConfig::Register {
  std::uint32_t offset;
  std::uint32_t width;  // bytes
  std::uint32_t (*get)(PciCommonConfig&);
  void (*set)(PciCommonConfig&, std::uint32_t);  // null: read-only
};

template <std::uint64_t RingSetup::*Address, unsigned Shift>
std::uint32_t PciCommonConfig::get_address(PciCommonConfig& config) {
  return static_cast<std::uint32_t>(config.device_.queue(config.queue_select_).setup.*Address >> Shift);
}

template <std::uint64_t RingSetup::*Address, unsigned Shift>
void PciCommonConfig::set_address(PciCommonConfig& config, std::uint32_t value) {
  config.device_.configure_queue(config.queue_select_, [value](RingSetup& setup) {
    const std::uint64_t other_half = setup.*Address & ~(0xFFFF'FFFFULL << Shift);
    setup.*Address = other_half | std::uint64_t{value} << Shift;
  });
}

const std::span<const PciCommonConfig::Register> PciCommonConfig::kRegisters = [] {
  using Config = PciCommonConfig;
  static constexpr std::array registers{
      Register{0, 4, [](Config& c) { return c.device_feature_select_; },
               [](Config& c, std::uint32_t value) { c.device_feature_select_ = value; }},
      Register{4, 4,
               [](Config& c) {
                 const unsigned half = c.device_feature_select_;
                 return half > 1 ? 0
                                 : static_cast<std::uint32_t>(c.device_.offered_features() >> (32 * half));
               },
               nullptr},
      Register{8, 4, [](Config& c) { return c.driver_feature_select_; },
               [](Config& c, std::uint32_t value) { c.driver_feature_select_ = value; }},
      Register{12, 4,
               [](Config& c) {
                 const unsigned half = c.driver_feature_select_;
                 return half > 1 ? 0 : static_cast<std::uint32_t>(c.device_.driver_features() >> (32 * half));
               },
               [](Config& c, std::uint32_t value) {
                 c.device_.write_driver_features(c.driver_feature_select_, value);
               }},
      Register{16, 2, [](Config& c) { return std::uint32_t{c.config_vector()}; },
               // 4.1.5.1.2: a vector that cannot be had reads back as NO_VECTOR.
               [](Config& c, std::uint32_t value) {
                 c.config_vector_.store(c.checked_vector(value), std::memory_order_release);
               }},
      Register{18, 2, [](Config& c) { return std::uint32_t{c.device_.queue_count()}; }, nullptr},
      Register{20, 1, [](Config& c) { return std::uint32_t{c.device_.status()}; },
               [](Config& c, std::uint32_t value) { c.device_.write_status(static_cast<Status>(value)); }},
      Register{21, 1, [](Config& c) { return std::uint32_t{c.device_.config_generation()}; }, nullptr},
      Register{22, 2, [](Config& c) { return std::uint32_t{c.queue_select_}; },
               [](Config& c, std::uint32_t value) { c.queue_select_ = static_cast<std::uint16_t>(value); }},
      Register{24, 2, [](Config& c) { return std::uint32_t{c.device_.queue(c.queue_select_).setup.size}; },
               [](Config& c, std::uint32_t value) {
                 c.device_.configure_queue(c.queue_select_, [value](RingSetup& setup) {
                   setup.size = static_cast<std::uint16_t>(value);
                 });
               }},
      Register{26, 2,
               [](Config& c) {
                 return std::uint32_t{c.queue_selected() ? c.queue_vector(c.queue_select_) : kNoVector};
               },
               [](Config& c, std::uint32_t value) {
                 if (!c.queue_selected()) return;
                 c.queue_vectors_[c.queue_select_].store(c.checked_vector(value), std::memory_order_release);
               }},
      Register{28, 2, [](Config& c) { return std::uint32_t{c.device_.queue(c.queue_select_).enabled}; },
               // 4.1.4.3.2: "The driver MUST NOT write a 0 to queue_enable".
               [](Config& c, std::uint32_t value) {
                 if (value == 1) c.device_.enable_queue(c.queue_select_);
               }},
      Register{30, 2, [](Config& c) { return std::uint32_t{c.queue_selected() ? c.queue_select_ : 0U}; },
               nullptr},
      Register{32, 4, get_address<&RingSetup::descriptors, 0>, set_address<&RingSetup::descriptors, 0>},
      Register{36, 4, get_address<&RingSetup::descriptors, 32>, set_address<&RingSetup::descriptors, 32>},
      Register{40, 4, get_address<&RingSetup::driver_area, 0>, set_address<&RingSetup::driver_area, 0>},
      Register{44, 4, get_address<&RingSetup::driver_area, 32>, set_address<&RingSetup::driver_area, 32>},
      Register{48, 4, get_address<&RingSetup::device_area, 0>, set_address<&RingSetup::device_area, 0>},
      Register{52, 4, get_address<&RingSetup::device_area, 32>, set_address<&RingSetup::device_area, 32>},
  };
  return std::span<const Register>(registers);
}();

PciCommonConfig::PciCommonConfig(Device& device, unsigned vectors)
    : device_(device),
      vectors_(vectors),
      queue_vectors_(std::make_unique<std::atomic<std::uint16_t>[]>(device.queue_count())) {
  reset();
}

void PciCommonConfig::reset() noexcept {
  device_feature_select_ = driver_feature_select_ = 0;
  queue_select_ = 0;
  config_vector_.store(kNoVector, std::memory_order_release);
  for (unsigned queue = 0; queue < device_.queue_count(); ++queue) {
    queue_vectors_[queue].store(kNoVector, std::memory_order_release);
  }
}

namespace {

/// The part of an access that falls on one register.
struct Overlap {
  std::size_t in_access;
  std::size_t in_register;
  std::size_t length;  // 0: none
};

Overlap overlap(std::uint64_t access, std::size_t bytes, std::uint64_t first, std::uint64_t width) noexcept {
  const std::uint64_t begin = std::max(access, first);
  const std::uint64_t end = std::min(access + bytes, first + width);
  if (begin >= end) return {0, 0, 0};
  return {begin - access, begin - first, end - begin};
}

}  // namespace

void PciCommonConfig::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  std::fill(data.begin(), data.end(), std::byte{0});
  for (const Register& reg : kRegisters) {
    const Overlap part = overlap(offset, data.size(), reg.offset, reg.width);
    if (part.length == 0) continue;
    const std::uint32_t value = reg.get(*this);
    std::byte raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    std::copy_n(raw + part.in_register, part.length, data.data() + part.in_access);
  }
}

bool PciCommonConfig::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  const bool was_running = device_.status() != 0;
  for (const Register& reg : kRegisters) {
    const Overlap part = overlap(offset, data.size(), reg.offset, reg.width);
    if (part.length == 0 || reg.set == nullptr) continue;
    std::uint32_t value = reg.get(*this);  // bytes that a narrow access leaves out keep their value
    std::byte raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    std::copy_n(data.data() + part.in_access, part.length, raw + part.in_register);
    std::memcpy(&value, raw, sizeof value);
    reg.set(*this, value);
  }
  if (!was_running || device_.status() != 0) return false;
  reset();
  return true;
}

}  // namespace patchbay::devices::virtio
