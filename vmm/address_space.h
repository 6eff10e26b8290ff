// Who answers at which guest-physical address and at which port: two sorted tables without overlaps, built
// before the machine starts and only read afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "devices/bus.h"

namespace patchbay::vmm {

using devices::MmioDevice;

/// A device on the port bus. String instructions (REP OUTS) hand over a run of elements at once.
class PortDevice : public MmioDevice {
 public:
  /// `data` holds elements of `size` bytes, all written to the same port. The default writes them one by one.
  virtual void write_string(std::uint64_t offset, std::size_t size, std::span<const std::byte> data) noexcept;
};

class AddressSpace {
 public:
  /// Devices belong to the caller and must outlive this object. Throws std::logic_error if ranges overlap or
  /// wrap.
  void add_memory(std::uint64_t start, std::uint64_t bytes, MmioDevice& device, std::string name);
  void add_ports(std::uint16_t start, std::uint32_t count, PortDevice& device, std::string name);

  // vCPU threads, several at a time. An access that no range holds entirely reads as ones, is ignored when it
  // writes, and returns false.
  bool read_memory(std::uint64_t address, std::span<std::byte> data) const noexcept;
  bool write_memory(std::uint64_t address, std::span<const std::byte> data) const noexcept;
  /// `data` holds elements of `size` (1, 2 or 4) bytes, all for the same port.
  bool read_port(std::uint16_t port, std::size_t size, std::span<std::byte> data) const noexcept;
  bool write_port(std::uint16_t port, std::size_t size, std::span<const std::byte> data) const noexcept;

 private:
  template <typename Device>
  struct Range {
    std::uint64_t start;
    std::uint64_t bytes;
    Device* device;
    std::string name;
  };
  template <typename Device>
  static void insert(std::vector<Range<Device>>& table, Range<Device> range, std::uint64_t top);
  template <typename Device>
  static const Range<Device>* find(const std::vector<Range<Device>>& table, std::uint64_t start,
                                   std::uint64_t bytes) noexcept;

  std::vector<Range<MmioDevice>> memory_;
  std::vector<Range<PortDevice>> ports_;
};

}  // namespace patchbay::vmm
