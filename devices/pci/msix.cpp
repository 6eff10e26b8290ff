#include "devices/pci/msix.h"

#include <cstring>
#include <stdexcept>

namespace patchbay::devices::pci {

MsixTable::MsixTable(unsigned vectors) {
  if (vectors == 0 || vectors > kMaxMsixVectors) {
    throw std::logic_error("an MSI-X table has 1 to 2048 vectors");
  }
  entries_.resize(vectors);
}

std::byte MsixTable::table_byte(std::uint64_t offset) const noexcept {
  const Entry& entry = entries_[offset / kMsixEntryBytes];
  std::byte raw[kMsixEntryBytes];
  std::memcpy(raw, &entry.address, 8);
  std::memcpy(raw + 8, &entry.data, 4);
  std::memcpy(raw + 12, &entry.control, 4);
  return raw[offset % kMsixEntryBytes];
}

void MsixTable::read_table(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = offset + i < table_bytes() ? table_byte(offset + i) : std::byte{0};
  }
}

void MsixTable::read_pba(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i) {
    unsigned bits = 0;
    const std::uint64_t first = (offset + i) * 8;
    for (unsigned bit = 0; bit < 8 && first + bit < entries_.size(); ++bit) {
      if (entries_[first + bit].pending) bits |= 1U << bit;
    }
    data[i] = static_cast<std::byte>(bits);
  }
}

void MsixTable::write_table(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  if ((data.size() != 4 && data.size() != 8) || offset % data.size() != 0) return;
  if (offset >= table_bytes() || data.size() > table_bytes() - offset) return;
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); i += 4) {
    std::uint32_t value;
    std::memcpy(&value, data.data() + i, sizeof value);
    write_dword(offset + i, value);
  }
  deliver_if_possible(static_cast<unsigned>(offset / kMsixEntryBytes));
}

void MsixTable::write_dword(std::uint64_t offset, std::uint32_t value) noexcept {
  Entry& entry = entries_[offset / kMsixEntryBytes];
  constexpr std::uint64_t kLow = 0xFFFF'FFFF;
  switch (offset % kMsixEntryBytes) {
    case 0:
      entry.address = (entry.address & ~kLow) | (value & ~3U);  // messages are aligned to four bytes
      entry.configured = false;
      break;
    case 4:
      entry.address = (entry.address & kLow) | std::uint64_t{value} << 32;
      entry.configured = false;
      break;
    case 8:
      entry.data = value;
      entry.configured = false;
      break;
    default:
      entry.control = value & kMasked;  // the other bits are reserved
      break;
  }
}

void MsixTable::deliver_if_possible(unsigned vector) noexcept {
  Entry& entry = entries_[vector];
  if ((entry.control & kMasked) != 0) return;
  if (!entry.configured && msi_ != nullptr) {
    msi_->configure(vector, entry.address, entry.data);
    entry.configured = true;
  }
  if (entry.pending && enabled() && !function_mask_) {
    entry.pending = false;
    if (msi_ != nullptr) msi_->raise(vector);
  }
}

void MsixTable::set_control(bool enable, bool function_mask) noexcept {
  const std::lock_guard lock(mutex_);
  enabled_.store(enable, std::memory_order_release);
  function_mask_ = function_mask;
  for (unsigned vector = 0; vector < entries_.size(); ++vector)
    deliver_if_possible(vector);
}

bool MsixTable::raise(unsigned vector) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!enabled() || vector >= entries_.size()) return false;
    Entry& entry = entries_[vector];
    if (function_mask_ || (entry.control & kMasked) != 0) {
      entry.pending = true;
      return true;
    }
  }
  if (msi_ != nullptr) msi_->raise(vector);
  return true;
}

void MsixTable::reset() noexcept {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_)
    entry = Entry{};
  enabled_.store(false, std::memory_order_release);
  function_mask_ = false;
}

}  // namespace patchbay::devices::pci
