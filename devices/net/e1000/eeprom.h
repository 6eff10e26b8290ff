// The 82540EM's configuration EEPROM: a 93C46 (64 words of 16 bits) that drivers read bit by bit through EECD
// (Microwire) or a word at a time through EERD. Both ways are served; writes are accepted and forgotten on
// reset.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace patchbay::devices::net::e1000 {

class Eeprom {
 public:
  static constexpr std::size_t kWords = 64;
  static constexpr std::uint16_t kChecksum = 0xBABA;  // what words 0-63 sum to (5.6.35)

  /// Contents for a card with this address (words 0-2, low byte first).
  explicit Eeprom(std::span<const std::uint8_t, 6> mac);

  [[nodiscard]] std::uint16_t word(std::size_t index) const noexcept { return words_[index % kWords]; }

  // EECD (13.4.3): the guest drives clock, select and data-in; request is granted at once.
  [[nodiscard]] std::uint32_t read_control() const noexcept;
  void write_control(std::uint32_t value) noexcept;
  // EERD (13.4.4). Addresses past the end read as 0xFFFF, as an open bus does.
  [[nodiscard]] std::uint32_t read_word_register() const noexcept { return word_register_; }
  void write_word_register(std::uint32_t value) noexcept;

  void reset() noexcept;

 private:
  void clock_rising(bool data_in) noexcept;

  std::array<std::uint16_t, kWords> words_{};
  std::uint32_t control_ = 0;
  std::uint32_t word_register_ = 0;
  // Microwire: a start bit, two bits of operation, six of address, then data.
  bool started_ = false;
  unsigned bits_in_ = 0;
  std::uint32_t command_ = 0;
  bool reading_ = false;
  std::size_t address_ = 0;
  unsigned bits_out_ = 0;
  bool data_out_ = true;
};

}  // namespace patchbay::devices::net::e1000
