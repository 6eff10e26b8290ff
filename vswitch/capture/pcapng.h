// Encoder of pcapng blocks (draft-ietf-opsawg-pcapng): section header, interface description, enhanced packet
// and interface statistics, with the options that Wireshark, tshark and capinfos show.
//
// Pure functions on buffers: no files, no clocks, no threads. Blocks are written in the byte order of this
// machine, which readers learn from the section header. All times are nanoseconds since 1970-01-01 UTC;
// if_tsresol says so. A block is always whole: total length first and last, every field padded to 32 bits
// with zero bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace patchbay::vswitch::capture {

/// Block types (section 10.1 of the draft) that this project writes and recognises.
enum class BlockType : std::uint32_t {
  section_header = 0x0A0D0D0A,
  interface_description = 1,
  interface_statistics = 5,
  enhanced_packet = 6,
};

/// Shortest legal block: type, total length, total length.
inline constexpr std::size_t kMinBlockBytes = 12;
/// LINKTYPE_ETHERNET.
inline constexpr std::uint16_t kLinkTypeEthernet = 1;

/// Empty strings and zero or absent values leave their option out. Strings longer than an option can hold
/// (65,535 bytes) are cut.
struct SectionHeader {
  std::string_view comment;
  std::string_view hardware;
  std::string_view os;
  std::string_view application;
};

struct InterfaceDescription {
  std::uint32_t snaplen = 0;  // bytes; 0 means no limit
  std::string_view comment;
  std::string_view name;         // "r1:eth1"
  std::string_view description;  // "lab r1:eth1 -- h1:eth1"
  std::optional<std::array<std::uint8_t, 6>> mac;
  std::uint64_t speed = 0;  // bit/s
  std::string_view filter;  // libpcap expression
  std::string_view hardware;
};

/// Direction bits of epb_flags (section 4.3.1), relative to the interface.
enum class PacketDirection : std::uint32_t { unknown = 0, inbound = 1, outbound = 2 };

struct EnhancedPacket {
  std::uint32_t interface = 0;  // index of its description in the section
  std::uint64_t timestamp = 0;
  std::uint32_t captured_length = 0;  // bytes in this block
  std::uint32_t original_length = 0;  // bytes on the wire, without FCS
  PacketDirection direction = PacketDirection::unknown;
  std::uint64_t drop_count = 0;  // packets lost since the previous one of this interface
  std::uint64_t packet_id = 0;   // the same wherever this frame was seen
  std::optional<std::uint32_t> queue;
  std::span<const std::byte> verdict;  // first byte: kind (0 hardware, 1 eBPF TC, 2 XDP), then its value
  std::string_view comment;
};

struct InterfaceStatistics {
  std::uint32_t interface = 0;
  std::uint64_t timestamp = 0;
  std::optional<std::uint64_t> start_time;
  std::optional<std::uint64_t> end_time;
  std::optional<std::uint64_t> received;
  std::optional<std::uint64_t> dropped;  // for want of room in the capture's buffer
  std::optional<std::uint64_t> filter_accepted;
  std::optional<std::uint64_t> os_dropped;
  std::optional<std::uint64_t> delivered;  // to the user
};

/// Appends one whole block.
void append(std::vector<std::byte>& out, const SectionHeader& section);
void append(std::vector<std::byte>& out, const InterfaceDescription& interface);
void append(std::vector<std::byte>& out, const InterfaceStatistics& statistics);
void append(std::vector<std::byte>& out, const EnhancedPacket& packet, std::span<const std::byte> data);

/// Bytes of the block that encode() writes for `packet`; a multiple of 4.
[[nodiscard]] std::size_t encoded_size(const EnhancedPacket& packet) noexcept;

/// Writes the whole block except the packet's bytes into `block`, which is exactly encoded_size() long, and
/// returns where the caller puts those captured_length bytes. For the data path: allocates nothing.
std::span<std::byte> encode(const EnhancedPacket& packet, std::span<std::byte> block) noexcept;

/// First fields of a block, as a reader of a stream needs them; precondition: 8 bytes.
struct BlockHeader {
  BlockType type;
  std::uint32_t length;
};
[[nodiscard]] BlockHeader read_block_header(std::span<const std::byte> block) noexcept;

/// What orders enhanced packets of several sources; precondition: a block that encode() wrote.
struct PacketOrigin {
  std::uint32_t interface;
  std::uint64_t timestamp;
};
[[nodiscard]] PacketOrigin read_packet_origin(std::span<const std::byte> block) noexcept;

/// isb_ifdrop of an interface statistics block of any origin; 0 if it has none.
[[nodiscard]] std::uint64_t read_dropped(std::span<const std::byte> block) noexcept;

}  // namespace patchbay::vswitch::capture
