#include "devices/net/e1000/eeprom.h"

#include <numeric>

#include "devices/net/e1000/registers.h"

namespace patchbay::devices::net::e1000 {

namespace {
constexpr unsigned kOperationAndAddressBits = 2 + 6;
constexpr std::uint32_t kOperationRead = 0b10;
constexpr std::uint32_t kGuestDriven = eecd::kClock | eecd::kSelect | eecd::kDataIn | eecd::kRequest | 0x30;
}  // namespace

Eeprom::Eeprom(std::span<const std::uint8_t, 6> mac) {
  for (std::size_t i = 0; i < 3; ++i) {
    words_[i] = static_cast<std::uint16_t>(mac[2 * i] | (mac[2 * i + 1] << 8));
  }
  words_[0x03] = 0x0000;  // compatibility
  words_[0x05] = 0xFFFF;  // image version: none
  words_[0x08] = 0xFFFF;  // printed board assembly: none
  words_[0x09] = 0xFFFF;
  words_[0x0A] = 0x4408;  // initialization control 1: valid signature, loads the identifiers below
  words_[0x0B] = 0x001E;  // subsystem
  words_[0x0C] = 0x8086;  // subsystem vendor
  words_[0x0D] = 0x100E;  // device
  words_[0x0E] = 0x8086;  // vendor
  words_[0x0F] = 0x3040;  // initialization control 2
  words_[0x21] = 0x7061;  // LED defaults
  const auto sum = std::accumulate(words_.begin(), words_.end() - 1, std::uint32_t{0});
  words_[kWords - 1] = static_cast<std::uint16_t>(kChecksum - sum);
  reset();
}

void Eeprom::reset() noexcept {
  control_ = 0;
  word_register_ = 0;
  started_ = reading_ = false;
  bits_in_ = bits_out_ = 0;
  command_ = 0;
  data_out_ = true;
}

std::uint32_t Eeprom::read_control() const noexcept {
  std::uint32_t value = control_ | eecd::kPresent;
  if ((control_ & eecd::kRequest) != 0) value |= eecd::kGrant;
  // The data line floats high between words.
  if (data_out_) value |= eecd::kDataOut;
  return value;
}

void Eeprom::write_control(std::uint32_t value) noexcept {
  const std::uint32_t old = control_;
  control_ = value & kGuestDriven;
  if ((control_ & eecd::kSelect) == 0) {
    started_ = reading_ = false;
    data_out_ = true;
    return;
  }
  if ((old & eecd::kSelect) == 0) {
    started_ = reading_ = false;
    bits_in_ = bits_out_ = 0;
    command_ = 0;
  }
  if ((old & eecd::kClock) == 0 && (control_ & eecd::kClock) != 0) {
    clock_rising((control_ & eecd::kDataIn) != 0);
  }
}

void Eeprom::clock_rising(bool data_in) noexcept {
  if (reading_) {
    // Most significant bit first; reading on past the last bit continues with the next word.
    data_out_ = ((words_[address_] >> (15 - bits_out_)) & 1) != 0;
    if (++bits_out_ == 16) {
      bits_out_ = 0;
      address_ = (address_ + 1) % kWords;
    }
    return;
  }
  if (!started_) {
    started_ = data_in;
    return;
  }
  command_ = (command_ << 1) | static_cast<std::uint32_t>(data_in);
  if (++bits_in_ < kOperationAndAddressBits) return;
  if (bits_in_ == kOperationAndAddressBits && (command_ >> 6) == kOperationRead) {
    address_ = command_ & (kWords - 1);
    reading_ = true;
    bits_out_ = 0;
    data_out_ = false;  // a dummy zero precedes the data
  }
}

void Eeprom::write_word_register(std::uint32_t value) noexcept {
  word_register_ = value & ~(eerd::kDone | eerd::kStart);
  if ((value & eerd::kStart) == 0) return;
  const std::uint32_t address = (value >> eerd::kAddressShift) & 0xFF;
  const std::uint32_t data = address < kWords ? words_[address] : 0xFFFF;
  word_register_ = (address << eerd::kAddressShift) | (data << eerd::kDataShift) | eerd::kDone;
}

}  // namespace patchbay::devices::net::e1000
