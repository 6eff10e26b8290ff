#include "vmm/address_space.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace patchbay::vmm {

void PortDevice::write_string(std::uint64_t offset, std::size_t size,
                              std::span<const std::byte> data) noexcept {
  for (std::size_t i = 0; i + size <= data.size(); i += size)
    write(offset, data.subspan(i, size));
}

template <typename Device>
void AddressSpace::insert(std::vector<Range<Device>>& table, Range<Device> range, std::uint64_t top) {
  if (range.bytes == 0 || range.bytes - 1 > top - range.start) {
    throw std::logic_error("address range of " + range.name + " is empty or wraps around");
  }
  const auto next =
      std::upper_bound(table.begin(), table.end(), range.start,
                       [](std::uint64_t start, const auto& other) { return start < other.start; });
  const bool hits_next = next != table.end() && next->start - range.start < range.bytes;
  const bool hits_previous =
      next != table.begin() && range.start - std::prev(next)->start < std::prev(next)->bytes;
  if (hits_next || hits_previous) {
    throw std::logic_error("address range of " + range.name + " overlaps that of " +
                           (hits_next ? next->name : std::prev(next)->name));
  }
  table.insert(next, std::move(range));
}

template <typename Device>
const AddressSpace::Range<Device>* AddressSpace::find(const std::vector<Range<Device>>& table,
                                                      std::uint64_t start, std::uint64_t bytes) noexcept {
  const auto next =
      std::upper_bound(table.begin(), table.end(), start,
                       [](std::uint64_t address, const auto& range) { return address < range.start; });
  if (next == table.begin()) return nullptr;
  const auto& range = *std::prev(next);
  const std::uint64_t offset = start - range.start;
  return offset < range.bytes && bytes <= range.bytes - offset ? &range : nullptr;
}

void AddressSpace::add_memory(std::uint64_t start, std::uint64_t bytes, MmioDevice& device,
                              std::string name) {
  insert(memory_, {start, bytes, &device, std::move(name)}, std::numeric_limits<std::uint64_t>::max());
}

void AddressSpace::add_ports(std::uint16_t start, std::uint32_t count, PortDevice& device, std::string name) {
  insert(ports_, {start, count, &device, std::move(name)}, std::numeric_limits<std::uint16_t>::max());
}

bool AddressSpace::read_memory(std::uint64_t address, std::span<std::byte> data) const noexcept {
  const auto* range = find(memory_, address, data.size());
  if (range == nullptr) {
    std::fill(data.begin(), data.end(), std::byte{0xFF});
    return false;
  }
  range->device->read(address - range->start, data);
  return true;
}

bool AddressSpace::write_memory(std::uint64_t address, std::span<const std::byte> data) const noexcept {
  const auto* range = find(memory_, address, data.size());
  if (range == nullptr) return false;
  range->device->write(address - range->start, data);
  return true;
}

bool AddressSpace::read_port(std::uint16_t port, std::size_t size, std::span<std::byte> data) const noexcept {
  const auto* range = find(ports_, port, size);
  if (range == nullptr) {
    std::fill(data.begin(), data.end(), std::byte{0xFF});
    return false;
  }
  for (std::size_t i = 0; i + size <= data.size(); i += size) {
    range->device->read(port - range->start, data.subspan(i, size));
  }
  return true;
}

bool AddressSpace::write_port(std::uint16_t port, std::size_t size,
                              std::span<const std::byte> data) const noexcept {
  const auto* range = find(ports_, port, size);
  if (range == nullptr) return false;
  const std::uint64_t offset = port - range->start;
  if (data.size() == size) {
    range->device->write(offset, data);
  } else {
    range->device->write_string(offset, size, data);
  }
  return true;
}

}  // namespace patchbay::vmm
