#include "devices/pci/config_space.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace patchbay::devices::pci {
namespace {

FileDescriptor create_page() {
  FileDescriptor fd(::memfd_create("pci-config", MFD_CLOEXEC));
  if (!fd || ::ftruncate(fd.get(), kConfigBytes) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot create a PCI configuration page (memfd); raise the limit of open files "
                            "(ulimit -n) if it is reached");
  }
  return fd;
}

/// The part of an access that lies within the space.
std::size_t clip(std::uint32_t offset, std::size_t length) noexcept {
  return offset >= kConfigBytes ? 0 : std::min(length, kConfigBytes - offset);
}

}  // namespace

ConfigSpace::ConfigSpace()
    : fd_(create_page()),
      mapping_(fd_.get(), kConfigBytes, PROT_READ | PROT_WRITE, "a PCI configuration page") {}

void ConfigSpace::read(std::uint32_t offset, std::span<std::byte> data) const noexcept {
  const std::size_t inside = clip(offset, data.size());
  std::fill(data.begin(), data.end(), std::byte{0xFF});
  if (inside != 0) std::memcpy(data.data(), mapping_.data() + offset, inside);
}

void ConfigSpace::write(std::uint32_t offset, std::span<const std::byte> data) noexcept {
  const std::size_t inside = clip(offset, data.size());
  for (std::size_t i = 0; i < inside; ++i) {
    const std::byte mask = writable_[offset + i];
    std::byte& target = mapping_.data()[offset + i];
    target = (target & ~mask) | (data[i] & mask);
  }
}

template <typename T>
T ConfigSpace::get(std::uint32_t offset) const noexcept {
  T value;
  std::memcpy(&value, mapping_.data() + offset, sizeof value);
  return value;
}

template <typename T>
void ConfigSpace::set(std::uint32_t offset, T value) noexcept {
  std::memcpy(mapping_.data() + offset, &value, sizeof value);
}

template <typename T>
void ConfigSpace::set_writable(std::uint32_t offset, T mask) noexcept {
  T present;
  std::memcpy(&present, writable_.data() + offset, sizeof present);
  present = static_cast<T>(present | mask);
  std::memcpy(writable_.data() + offset, &present, sizeof present);
}

template std::uint8_t ConfigSpace::get(std::uint32_t) const noexcept;
template std::uint16_t ConfigSpace::get(std::uint32_t) const noexcept;
template std::uint32_t ConfigSpace::get(std::uint32_t) const noexcept;
template void ConfigSpace::set(std::uint32_t, std::uint8_t) noexcept;
template void ConfigSpace::set(std::uint32_t, std::uint16_t) noexcept;
template void ConfigSpace::set(std::uint32_t, std::uint32_t) noexcept;
template void ConfigSpace::set_writable(std::uint32_t, std::uint8_t) noexcept;
template void ConfigSpace::set_writable(std::uint32_t, std::uint16_t) noexcept;
template void ConfigSpace::set_writable(std::uint32_t, std::uint32_t) noexcept;

void ConfigSpace::set_bytes(std::uint32_t offset, std::span<const std::byte> data) noexcept {
  const std::size_t inside = clip(offset, data.size());
  if (inside != 0) std::memcpy(mapping_.data() + offset, data.data(), inside);
}

std::uint8_t ConfigSpace::add_capability(std::uint8_t id, std::span<const std::byte> body,
                                         std::span<const std::byte> writable) {
  const std::uint32_t offset = next_capability_;
  const std::size_t length = 2 + body.size();
  if (offset + length > 0x100 || writable.size() > body.size()) {
    throw std::logic_error("PCI capability does not fit in the first 256 bytes of configuration space");
  }
  set<std::uint8_t>(offset, id);
  set<std::uint8_t>(offset + 1, 0);  // end of the list so far
  set_bytes(offset + 2, body);
  std::copy(writable.begin(), writable.end(), writable_.begin() + offset + 2);

  set<std::uint8_t>(last_pointer_, static_cast<std::uint8_t>(offset));
  set<std::uint16_t>(kStatus,
                     static_cast<std::uint16_t>(get<std::uint16_t>(kStatus) | kStatusCapabilitiesList));
  last_pointer_ = offset + 1;
  next_capability_ = (offset + static_cast<std::uint32_t>(length) + 3) & ~3U;
  return static_cast<std::uint8_t>(offset);
}

void ConfigSpace::set_power_on_state() noexcept {
  std::memcpy(power_on_.data(), mapping_.data(), kConfigBytes);
}

void ConfigSpace::restore_power_on_state() noexcept {
  std::memcpy(mapping_.data(), power_on_.data(), kConfigBytes);
}

std::span<const std::byte, kConfigBytes> ConfigSpace::page() const noexcept {
  return std::span<const std::byte, kConfigBytes>(mapping_.data(), kConfigBytes);
}

}  // namespace patchbay::devices::pci
