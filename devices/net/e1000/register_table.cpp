// The card's registers: a sparse table of what a read returns, what a write does, and which bits a plain
// write keeps. What is not in the table reads zero and ignores writes.
#include <algorithm>
#include <array>

#include "devices/net/e1000/e1000.h"

namespace patchbay::devices::net {

using namespace e1000;

struct E1000::Register {
  std::uint32_t begin;                                                    // first offset
  std::uint32_t end;                                                      // behind the last
  std::uint32_t (*read)(E1000& card, std::uint32_t offset);               // nullptr: write-only
  void (*write)(E1000& card, std::uint32_t offset, std::uint32_t value);  // nullptr: read-only
};

struct E1000::RegisterTable {
  using Card = E1000&;
  using Word = std::uint32_t;

  static constexpr Register one(Word offset, Word (*read)(Card, Word), void (*write)(Card, Word, Word)) {
    return {offset, offset + 4, read, write};
  }
  /// A register that keeps what is written to the bits of kMask and does nothing else.
  template <Word kMask = 0xFFFFFFFF>
  static constexpr Register plain(Word offset) {
    return one(
        offset, [](Card card, Word at) { return card.word(at); },
        [](Card card, Word at, Word value) { card.word(at) = value & kMask; });
  }
  /// A member of the transmitter or receiver, under a mask.
  template <auto kPart, auto kMember, Word kMask>
  static constexpr Register ring(Word offset) {
    return one(
        offset, [](Card card, Word) { return card.*kPart.*kMember; },
        [](Card card, Word, Word value) { card.*kPart.*kMember = value & kMask; });
  }

  static void write_control(Card card, Word, Word value) {
    if ((value & ctrl::kReset) != 0) {
      card.reset_registers();
      card.link_changed();
      card.update_interrupt();
      return;
    }
    if ((value & ctrl::kPhyReset) != 0) card.phy_.reset();
    const Word old = card.word(reg::kCtrl);
    card.word(reg::kCtrl) = value & ~(ctrl::kReset | ctrl::kPhyReset);
    if ((old & ctrl::kSetLinkUp) == 0 && (value & ctrl::kSetLinkUp) != 0) {
      card.link_changed();
      card.update_interrupt();
    }
  }
  static Word read_status(Card card, Word) {
    return status::kFullDuplex | status::kSpeed1000 | (card.link_up_ ? status::kLinkUp : 0);
  }
  static void write_control_extension(Card card, Word offset, Word value) {
    if ((value & ctrl_ext::kEepromReset) != 0) card.eeprom_.reset();
    card.word(offset) = value & ~ctrl_ext::kEepromReset;
  }
  static void write_mdic(Card card, Word, Word value) {
    bool negotiated = false;
    card.mdic_ = card.phy_.execute(value, card.link_up_, negotiated);
    if (negotiated && card.link_up_) card.link_changed();
    if ((value & mdic::kInterrupt) != 0) card.interrupts_.add_cause(cause::kMdio);
    card.update_interrupt();
  }
  static Word read_causes(Card card, Word) {
    const Word causes = card.interrupts_.read_causes();
    card.update_interrupt();
    return causes;
  }
  static void enable_receiver(Card card, Word, Word value) { card.receiver_.control = value; }
  static void enable_transmitter(Card card, Word, Word value) {
    card.transmitter_.control = value;
    if (card.transmitter_.has_work()) card.wake_worker();
  }
  static void queue_transmit(Card card, Word, Word value) {
    card.transmitter_.tail = value & 0xFFFF;
    if (card.transmitter_.has_work()) card.wake_worker();
  }
  static void ignore(Card, Word, Word) {}

  static const Register* find(Word offset) noexcept;
};

const E1000::Register* E1000::RegisterTable::find(Word offset) noexcept {
  static constexpr auto kRegisters = std::to_array<Register>({
      one(
          reg::kCtrl, [](Card card, Word) { return card.word(reg::kCtrl); }, write_control),
      one(
          reg::kCtrlAlias, [](Card card, Word) { return card.word(reg::kCtrl); }, write_control),
      one(reg::kStatus, read_status, nullptr),
      one(
          reg::kEecd, [](Card card, Word) { return card.eeprom_.read_control(); },
          [](Card card, Word, Word value) { card.eeprom_.write_control(value); }),
      one(
          reg::kEerd, [](Card card, Word) { return card.eeprom_.read_word_register(); },
          [](Card card, Word, Word value) { card.eeprom_.write_word_register(value); }),
      one(
          reg::kCtrlExt, [](Card card, Word at) { return card.word(at); }, write_control_extension),
      one(
          reg::kMdic, [](Card card, Word) { return card.mdic_; }, write_mdic),
      plain(reg::kFcal),
      plain<0xFFFF>(reg::kFcah),
      plain<0xFFFF>(reg::kFct),
      plain<0xFFFF>(reg::kVet),
      one(reg::kIcr, read_causes,
          [](Card card, Word, Word value) {
            card.interrupts_.clear_causes(value);
            card.update_interrupt();
          }),
      one(
          reg::kItr, [](Card card, Word) { return card.interrupts_.interval(); },
          [](Card card, Word, Word value) { card.interrupts_.set_interval(value); }),
      one(reg::kIcs, nullptr,
          [](Card card, Word, Word value) {
            card.interrupts_.add_cause(value & cause::kAll);
            card.update_interrupt();
          }),
      one(
          reg::kIms, [](Card card, Word) { return card.interrupts_.mask(); },
          [](Card card, Word, Word value) {
            card.interrupts_.enable(value);
            card.update_interrupt();
          }),
      one(reg::kImc, nullptr,
          [](Card card, Word, Word value) {
            card.interrupts_.disable(value);
            card.update_interrupt();
          }),
      one(
          reg::kRctl, [](Card card, Word) { return card.receiver_.control; }, enable_receiver),
      plain<0xFFFF>(reg::kFcttv),
      plain(reg::kTxcw),
      one(reg::kRxcw, nullptr, ignore),
      one(
          reg::kTctl, [](Card card, Word) { return card.transmitter_.control; }, enable_transmitter),
      plain<0x3FFFFFFF>(reg::kTipg),
      plain<0xFFFF>(reg::kAifs),
      plain(reg::kLedctl),
      plain(reg::kPba),
      plain<0x8000FFF8>(reg::kFcrtl),
      plain<0xFFF8>(reg::kFcrth),
      ring<&E1000::receiver_, &Receiver::base_low, 0xFFFFFFF0>(reg::kRdbal),
      ring<&E1000::receiver_, &Receiver::base_high, 0xFFFFFFFF>(reg::kRdbah),
      ring<&E1000::receiver_, &Receiver::length, 0xFFF80>(reg::kRdlen),
      ring<&E1000::receiver_, &Receiver::head, 0xFFFF>(reg::kRdh),
      ring<&E1000::receiver_, &Receiver::tail, 0xFFFF>(reg::kRdt),
      plain<0xFFFF>(reg::kRdtr),
      plain(reg::kRxdctl),
      plain<0xFFFF>(reg::kRadv),
      plain(reg::kRsrpd),
      ring<&E1000::transmitter_, &Transmitter::base_low, 0xFFFFFFF0>(reg::kTdbal),
      ring<&E1000::transmitter_, &Transmitter::base_high, 0xFFFFFFFF>(reg::kTdbah),
      ring<&E1000::transmitter_, &Transmitter::length, 0xFFF80>(reg::kTdlen),
      ring<&E1000::transmitter_, &Transmitter::head, 0xFFFF>(reg::kTdh),
      one(
          reg::kTdt, [](Card card, Word) { return card.transmitter_.tail; }, queue_transmit),
      plain<0xFFFF>(reg::kTidv),
      plain(reg::kTxdctl),
      plain<0xFFFF>(reg::kTadv),
      plain(reg::kTspmt),
      Register{reg::kStatistics, reg::kStatisticsEnd,
               [](Card card, Word at) { return card.statistics_.read(at - reg::kStatistics); }, nullptr},
      one(
          reg::kRxcsum, [](Card card, Word) { return card.receiver_.checksum_control; },
          [](Card card, Word, Word value) { card.receiver_.checksum_control = value & 0x7FF; }),
      Register{reg::kMta, reg::kMtaEnd,
               [](Card card, Word at) { return card.filter_.multicast_word((at - reg::kMta) / 4); },
               [](Card card, Word at, Word value) {
                 card.filter_.set_multicast_word((at - reg::kMta) / 4, value);
               }},
      Register{
          reg::kRa, reg::kRaEnd,
          [](Card card, Word at) { return card.filter_.address_word((at - reg::kRa) / 4); },
          [](Card card, Word at, Word value) { card.filter_.set_address_word((at - reg::kRa) / 4, value); }},
      Register{
          reg::kVfta, reg::kVftaEnd,
          [](Card card, Word at) { return card.filter_.vlan_word((at - reg::kVfta) / 4); },
          [](Card card, Word at, Word value) { card.filter_.set_vlan_word((at - reg::kVfta) / 4, value); }},
      plain(reg::kWuc),
      plain(reg::kWufc),
      plain(reg::kWus),
      plain(reg::kManc),
  });
  static_assert(std::is_sorted(kRegisters.begin(), kRegisters.end(),
                               [](const Register& a, const Register& b) { return a.begin < b.begin; }));

  const auto* after = std::upper_bound(kRegisters.begin(), kRegisters.end(), offset,
                                       [](Word at, const Register& entry) { return at < entry.begin; });
  if (after == kRegisters.begin()) return nullptr;
  const auto* entry = after - 1;
  return offset < entry->end ? entry : nullptr;
}

std::uint32_t E1000::read_register(std::uint32_t offset) noexcept {
  const Register* entry = RegisterTable::find(offset & ~3u);
  return entry != nullptr && entry->read != nullptr ? entry->read(*this, offset & ~3u) : 0;
}

void E1000::write_register(std::uint32_t offset, std::uint32_t value) noexcept {
  const Register* entry = RegisterTable::find(offset & ~3u);
  if (entry != nullptr && entry->write != nullptr) entry->write(*this, offset & ~3u, value);
}

}  // namespace patchbay::devices::net
