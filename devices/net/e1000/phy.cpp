#include "devices/net/e1000/phy.h"

#include "devices/net/e1000/registers.h"

namespace patchbay::devices::net::e1000 {

namespace {
constexpr unsigned kAddress = 1;

// Clause 22 register numbers, then those of the 88E1000 that drivers look at.
constexpr unsigned kBmcr = 0, kBmsr = 1, kId1 = 2, kId2 = 3, kAdvertisement = 4, kPartner = 5, kExpansion = 6,
                   kGigabitControl = 9, kGigabitStatus = 10, kExtendedStatus = 15, kSpecificControl = 16,
                   kSpecificStatus = 17, kExtendedSpecificControl = 20;

constexpr std::uint16_t kBmcrReset = 0x8000, kBmcrLoopback = 0x4000, kBmcrAutonegotiate = 0x1000,
                        kBmcrRestart = 0x0200, kBmcrFullDuplex = 0x0100, kBmcrSpeed1000 = 0x0040;
constexpr std::uint16_t kBmsrAbilities = 0x7949, kBmsrNegotiated = 0x0020, kBmsrLink = 0x0004;
constexpr std::uint16_t kSpecificLink = 0x0400, kSpecificResolved = 0x0800, kSpecificFullDuplex = 0x2000,
                        kSpecific1000 = 0x8000;
}  // namespace

void Phy::reset() noexcept {
  control_ = kBmcrAutonegotiate | kBmcrFullDuplex | kBmcrSpeed1000;
  advertisement_ = 0x0DE1;
  gigabit_control_ = 0x0E00;
  specific_control_ = 0x0360;
  extended_specific_control_ = 0x0D60;
}

bool Phy::loopback() const noexcept {
  return (control_ & kBmcrLoopback) != 0;
}

std::uint16_t Phy::read(unsigned index, bool link_up) const noexcept {
  switch (index) {
    case kBmcr:
      return control_;
    case kBmsr:
      return static_cast<std::uint16_t>(kBmsrAbilities | (link_up ? kBmsrNegotiated | kBmsrLink : 0));
    case kId1:
      return 0x0141;  // Marvell
    case kId2:
      return 0x0C20;  // 88E1000
    case kAdvertisement:
      return advertisement_;
    case kPartner:
      return link_up ? 0x45E1 : 0;
    case kExpansion:
      return link_up ? 0x0001 : 0;
    case kGigabitControl:
      return gigabit_control_;
    case kGigabitStatus:
      return link_up ? 0x3C00 : 0;  // partner and receivers fine, 1000BASE-T full duplex
    case kExtendedStatus:
      return 0x3000;
    case kSpecificControl:
      return specific_control_;
    case kSpecificStatus:
      return static_cast<std::uint16_t>(
          link_up ? kSpecific1000 | kSpecificFullDuplex | kSpecificResolved | kSpecificLink : 0);
    case kExtendedSpecificControl:
      return extended_specific_control_;
    default:
      return 0;
  }
}

std::uint32_t Phy::execute(std::uint32_t command, bool link_up, bool& negotiated) noexcept {
  negotiated = false;
  const unsigned address = (command >> mdic::kPhyShift) & 0x1F;
  const unsigned index = (command >> mdic::kRegisterShift) & 0x1F;
  const std::uint32_t echo = command & ~(mdic::kError | mdic::kReady | 0xFFFFu);
  if (address != kAddress) return echo | mdic::kError | mdic::kReady;

  const auto data = static_cast<std::uint16_t>(command);
  switch (command & mdic::kOperationMask) {
    case mdic::kRead:
      return echo | mdic::kReady | read(index, link_up);
    case mdic::kWrite:
      switch (index) {
        case kBmcr:
          if ((data & kBmcrReset) != 0) {
            reset();
            negotiated = true;
          } else {
            control_ = static_cast<std::uint16_t>(data & ~(kBmcrReset | kBmcrRestart));
            negotiated = (data & kBmcrRestart) != 0;
          }
          break;
        case kAdvertisement:
          advertisement_ = data;
          break;
        case kGigabitControl:
          gigabit_control_ = data;
          break;
        case kSpecificControl:
          specific_control_ = data;
          break;
        case kExtendedSpecificControl:
          extended_specific_control_ = data;
          break;
        default:
          break;
      }
      return echo | mdic::kReady | data;
    default:
      return echo | mdic::kError | mdic::kReady;
  }
}

}  // namespace patchbay::devices::net::e1000
