// Registers, bits and descriptor layouts of the Intel 82540EM, after the "PCI/PCI-X Family of Gigabit
// Ethernet Controllers Software Developer's Manual" (317453). Section numbers refer to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vswitch/frame.h"

namespace patchbay::devices::net::e1000 {

inline constexpr std::uint32_t kMmioBytes = 128 * 1024;  // BAR 0
inline constexpr std::uint32_t kIoBytes = 64;            // BAR 1: IOADDR at 0, IODATA at 4 (13.2.2)

// Parts of a frame, bytes.
using vswitch::kEthernetHeader, vswitch::kVlanTag;
inline constexpr std::uint32_t kMacAddresses = 12, kFcs = 4;
/// Shorter frames are padded (TCTL.PSP); without FCS.
inline constexpr std::uint32_t kMinFrame = 60;

namespace reg {
inline constexpr std::uint32_t kCtrl = 0x0000, kCtrlAlias = 0x0004, kStatus = 0x0008, kEecd = 0x0010,
                               kEerd = 0x0014, kCtrlExt = 0x0018, kMdic = 0x0020, kFcal = 0x0028,
                               kFcah = 0x002C, kFct = 0x0030, kVet = 0x0038, kIcr = 0x00C0, kItr = 0x00C4,
                               kIcs = 0x00C8, kIms = 0x00D0, kImc = 0x00D8, kRctl = 0x0100, kFcttv = 0x0170,
                               kTxcw = 0x0178, kRxcw = 0x0180, kTctl = 0x0400, kTipg = 0x0410, kAifs = 0x0458,
                               kLedctl = 0x0E00, kPba = 0x1000, kFcrtl = 0x2160, kFcrth = 0x2168,
                               kRdbal = 0x2800, kRdbah = 0x2804, kRdlen = 0x2808, kRdh = 0x2810,
                               kRdt = 0x2818, kRdtr = 0x2820, kRxdctl = 0x2828, kRadv = 0x282C,
                               kRsrpd = 0x2C00, kTdbal = 0x3800, kTdbah = 0x3804, kTdlen = 0x3808,
                               kTdh = 0x3810, kTdt = 0x3818, kTidv = 0x3820, kTxdctl = 0x3828, kTadv = 0x382C,
                               kTspmt = 0x3830, kStatistics = 0x4000, kStatisticsEnd = 0x4100,
                               kRxcsum = 0x5000, kMta = 0x5200, kMtaEnd = 0x5400, kRa = 0x5400,
                               kRaEnd = 0x5480, kVfta = 0x5600, kVftaEnd = 0x5800, kWuc = 0x5800,
                               kWufc = 0x5808, kWus = 0x5810, kManc = 0x5820;
}  // namespace reg

namespace ctrl {  // 13.4.1
inline constexpr std::uint32_t kFullDuplex = 1u << 0, kSetLinkUp = 1u << 6, kSpeed1000 = 2u << 8,
                               kReset = 1u << 26, kVlanMode = 1u << 30, kPhyReset = 1u << 31;
}
namespace status {  // 13.4.2
inline constexpr std::uint32_t kFullDuplex = 1u << 0, kLinkUp = 1u << 1, kSpeed1000 = 2u << 6;
}
namespace ctrl_ext {
inline constexpr std::uint32_t kEepromReset = 1u << 13;
}
namespace eecd {  // 13.4.3
inline constexpr std::uint32_t kClock = 1u << 0, kSelect = 1u << 1, kDataIn = 1u << 2, kDataOut = 1u << 3,
                               kRequest = 1u << 6, kGrant = 1u << 7, kPresent = 1u << 8;
}
namespace eerd {  // 13.4.4; the 82540EM's layout
inline constexpr std::uint32_t kStart = 1u << 0, kDone = 1u << 4;
inline constexpr unsigned kAddressShift = 8, kDataShift = 16;
}  // namespace eerd
namespace mdic {  // 13.4.9
inline constexpr unsigned kRegisterShift = 16, kPhyShift = 21;
inline constexpr std::uint32_t kWrite = 1u << 26, kRead = 2u << 26, kOperationMask = 3u << 26,
                               kReady = 1u << 28, kInterrupt = 1u << 29, kError = 1u << 30;
}  // namespace mdic
namespace cause {  // ICR, ICS, IMS, IMC: 13.4.17
inline constexpr std::uint32_t kTxDescriptorWritten = 1u << 0, kTxQueueEmpty = 1u << 1, kLinkChange = 1u << 2,
                               kRxThreshold = 1u << 4, kRxOverrun = 1u << 6, kRxTimer = 1u << 7,
                               kMdio = 1u << 9, kTxLowThreshold = 1u << 15, kAll = 0x1FFFFu;
}
namespace rctl {  // 13.4.22
inline constexpr std::uint32_t kEnable = 1u << 1, kStoreBad = 1u << 2, kUnicastPromiscuous = 1u << 3,
                               kMulticastPromiscuous = 1u << 4, kLongPackets = 1u << 5,
                               kLoopbackMask = 3u << 6, kLoopbackMac = 1u << 6, kBroadcast = 1u << 15,
                               kVlanFilter = 1u << 18, kBufferExtension = 1u << 25, kStripCrc = 1u << 26;
inline constexpr unsigned kThresholdShift = 8, kMulticastOffsetShift = 12, kBufferSizeShift = 16;
}  // namespace rctl
namespace tctl {  // 13.4.33
inline constexpr std::uint32_t kEnable = 1u << 1, kPadShort = 1u << 3;
}
namespace rxcsum {  // 13.4.31
inline constexpr std::uint32_t kIpOffload = 1u << 8, kTcpOffload = 1u << 9;
}

/// Receive descriptor, 3.2.3.
struct RxDescriptor {
  std::uint64_t address;
  std::uint16_t length;
  std::uint16_t checksum;
  std::uint8_t status;
  std::uint8_t errors;
  std::uint16_t special;
};
static_assert(sizeof(RxDescriptor) == 16);
namespace rx_status {
inline constexpr std::uint8_t kDone = 1u << 0, kEndOfPacket = 1u << 1, kIgnoreChecksum = 1u << 2,
                              kVlan = 1u << 3, kTcpChecksum = 1u << 5, kIpChecksum = 1u << 6;
}

/// Transmit descriptor: legacy (3.3.3), context (3.3.6) and data (3.3.7) share size, command byte and type
/// bits.
struct TxDescriptor {
  std::uint64_t address;
  std::uint32_t lower;  // legacy: length 16, CSO 8, CMD 8; extended: length 20, DTYP 4, DCMD 8
  std::uint32_t upper;  // status 8, CSS or POPTS 8, special 16
};
static_assert(sizeof(TxDescriptor) == 16);
namespace tx_command {  // in bits 24-31 of `lower`
inline constexpr std::uint32_t kEndOfPacket = 1u << 24, kInsertFcs = 1u << 25, kInsertChecksum = 1u << 26,
                               kSegment = 1u << 26, kReportStatus = 1u << 27, kReportSent = 1u << 28,
                               kExtended = 1u << 29, kVlan = 1u << 30, kDelay = 1u << 31;
}
inline constexpr std::uint32_t kTxTypeMask = 0xFu << 20, kTxTypeContext = 0u << 20, kTxTypeData = 1u << 20;
inline constexpr std::uint32_t kTxDone = 1u << 0;                                         // in `upper`
inline constexpr std::uint8_t kInsertIpChecksum = 1u << 0, kInsertTcpChecksum = 1u << 1;  // POPTS
inline constexpr std::uint32_t kContextTcp = 1u << 24, kContextIpv4 = 1u << 25;           // TUCMD

/// A copy of one descriptor of a ring: the guest may write to it at any time.
template <class Descriptor>
[[nodiscard]] Descriptor load_descriptor(const std::byte* ring, std::uint32_t index) noexcept {
  Descriptor descriptor;
  std::memcpy(&descriptor, ring + std::size_t{index} * sizeof descriptor, sizeof descriptor);
  return descriptor;
}

}  // namespace patchbay::devices::net::e1000
