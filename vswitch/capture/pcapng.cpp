#include "vswitch/capture/pcapng.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

namespace patchbay::vswitch::capture {
namespace {

constexpr std::uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr std::uint64_t kSectionLengthUnknown = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint8_t kNanoseconds = 9;     // if_tsresol: 10^-9 s
constexpr std::uint8_t kFilterIsString = 0;  // if_filter: a libpcap expression follows
constexpr std::size_t kMaxOptionBytes = 0xFFFF;

// Option codes, by block (sections 3.5 and 4).
constexpr std::uint16_t kEndOfOptions = 0;
constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kShbHardware = 2, kShbOs = 3, kShbUserApplication = 4;
constexpr std::uint16_t kIfName = 2, kIfDescription = 3, kIfMacAddress = 6, kIfSpeed = 8, kIfTsResol = 9,
                        kIfFilter = 11, kIfHardware = 15;
constexpr std::uint16_t kEpbFlags = 2, kEpbDropCount = 4, kEpbPacketId = 5, kEpbQueue = 6, kEpbVerdict = 7;
constexpr std::uint16_t kIsbStartTime = 2, kIsbEndTime = 3, kIsbIfRecv = 4, kIsbIfDrop = 5,
                        kIsbFilterAccept = 6, kIsbOsDrop = 7, kIsbUsrDeliv = 8;

constexpr std::size_t padded(std::size_t bytes) noexcept {
  return (bytes + 3) & ~std::size_t{3};
}

/// Only adds up sizes. Field lists below are written once and run over this and over Writer.
class Sizer {
 public:
  template <typename T>
  void field(T /*value*/) noexcept {
    size_ += sizeof(T);
  }
  void bytes(std::span<const std::byte> data) noexcept { size_ += data.size(); }
  std::span<std::byte> skip(std::size_t bytes) noexcept {
    size_ += bytes;
    return {};
  }
  void pad() noexcept { size_ = padded(size_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_ = 0;
};

/// Writes into a buffer that a Sizer has found long enough.
class Writer {
 public:
  explicit Writer(std::span<std::byte> out) noexcept : out_(out) {}

  template <typename T>
  void field(T value) noexcept {
    bytes(std::as_bytes(std::span(&value, 1)));
  }
  void bytes(std::span<const std::byte> data) noexcept {
    assert(data.size() <= out_.size() - at_);
    if (!data.empty()) std::memcpy(out_.data() + at_, data.data(), data.size());
    at_ += data.size();
  }
  std::span<std::byte> skip(std::size_t bytes) noexcept {
    const std::span<std::byte> skipped = out_.subspan(at_, bytes);
    at_ += bytes;
    return skipped;
  }
  void pad() noexcept {
    for (; at_ % 4 != 0; ++at_)
      out_[at_] = std::byte{0};
  }

 private:
  std::span<std::byte> out_;
  std::size_t at_ = 0;
};

/// The options of one block. finish() writes the end mark, if there was any option at all.
template <typename Out>
class Options {
 public:
  explicit Options(Out& out) noexcept : out_(out) {}

  void bytes(std::uint16_t code, std::span<const std::byte> value) noexcept {
    value = value.first(std::min(value.size(), kMaxOptionBytes));
    begin(code, value.size());
    out_.bytes(value);
    out_.pad();
  }
  void text(std::uint16_t code, std::string_view value) noexcept {
    if (!value.empty()) bytes(code, std::as_bytes(std::span(value)));
  }
  template <typename T>
  void number(std::uint16_t code, T value) noexcept {
    bytes(code, std::as_bytes(std::span(&value, 1)));
  }
  void number(std::uint16_t code, const std::optional<std::uint64_t>& value) noexcept {
    if (value) number(code, *value);
  }
  /// Times are two 32-bit words, the high one first, in either byte order.
  void time(std::uint16_t code, const std::optional<std::uint64_t>& value) noexcept {
    if (!value) return;
    number(code, std::array{static_cast<std::uint32_t>(*value >> 32), static_cast<std::uint32_t>(*value)});
  }
  void filter(std::string_view expression) noexcept {
    if (expression.empty()) return;
    expression = expression.substr(0, kMaxOptionBytes - 1);
    begin(kIfFilter, expression.size() + 1);
    out_.field(kFilterIsString);
    out_.bytes(std::as_bytes(std::span(expression)));
    out_.pad();
  }
  void finish() noexcept {
    if (any_) begin(kEndOfOptions, 0);
  }

 private:
  void begin(std::uint16_t code, std::size_t length) noexcept {
    any_ = true;
    out_.field(code);
    out_.field(static_cast<std::uint16_t>(length));
  }

  Out& out_;
  bool any_ = false;
};

template <typename Out>
void body(Out& out, const SectionHeader& section) noexcept {
  out.field(kByteOrderMagic);
  out.field(std::uint16_t{1});  // version 1.0
  out.field(std::uint16_t{0});
  out.field(kSectionLengthUnknown);
  Options options(out);
  options.text(kComment, section.comment);
  options.text(kShbHardware, section.hardware);
  options.text(kShbOs, section.os);
  options.text(kShbUserApplication, section.application);
  options.finish();
}

template <typename Out>
void body(Out& out, const InterfaceDescription& interface) noexcept {
  out.field(kLinkTypeEthernet);
  out.field(std::uint16_t{0});
  out.field(interface.snaplen);
  Options options(out);
  options.text(kComment, interface.comment);
  options.text(kIfName, interface.name);
  options.text(kIfDescription, interface.description);
  if (interface.mac) options.number(kIfMacAddress, *interface.mac);
  if (interface.speed != 0) options.number(kIfSpeed, interface.speed);
  options.number(kIfTsResol, kNanoseconds);
  options.filter(interface.filter);
  options.text(kIfHardware, interface.hardware);
  options.finish();
}

template <typename Out>
void body(Out& out, const InterfaceStatistics& statistics) noexcept {
  out.field(statistics.interface);
  out.field(static_cast<std::uint32_t>(statistics.timestamp >> 32));
  out.field(static_cast<std::uint32_t>(statistics.timestamp));
  Options options(out);
  options.time(kIsbStartTime, statistics.start_time);
  options.time(kIsbEndTime, statistics.end_time);
  options.number(kIsbIfRecv, statistics.received);
  options.number(kIsbIfDrop, statistics.dropped);
  options.number(kIsbFilterAccept, statistics.filter_accepted);
  options.number(kIsbOsDrop, statistics.os_dropped);
  options.number(kIsbUsrDeliv, statistics.delivered);
  options.finish();
}

/// Returns where the packet's bytes go.
template <typename Out>
std::span<std::byte> body(Out& out, const EnhancedPacket& packet) noexcept {
  out.field(packet.interface);
  out.field(static_cast<std::uint32_t>(packet.timestamp >> 32));
  out.field(static_cast<std::uint32_t>(packet.timestamp));
  out.field(packet.captured_length);
  out.field(packet.original_length);
  const std::span<std::byte> data = out.skip(packet.captured_length);
  out.pad();
  Options options(out);
  options.text(kComment, packet.comment);
  if (packet.direction != PacketDirection::unknown) options.number(kEpbFlags, packet.direction);
  if (packet.drop_count != 0) options.number(kEpbDropCount, packet.drop_count);
  if (packet.packet_id != 0) options.number(kEpbPacketId, packet.packet_id);
  if (packet.queue) options.number(kEpbQueue, *packet.queue);
  if (!packet.verdict.empty()) options.bytes(kEpbVerdict, packet.verdict);
  options.finish();
  return data;
}

template <typename Block>
std::size_t block_size(const Block& block) noexcept {
  Sizer sizer;
  body(sizer, block);
  return kMinBlockBytes + sizer.size();
}

template <typename Block>
auto write_block(std::span<std::byte> out, BlockType type, const Block& block) noexcept {
  const auto length = static_cast<std::uint32_t>(out.size());
  Writer(out.last<4>()).field(length);
  Writer writer(out);
  writer.field(type);
  writer.field(length);
  return body(writer, block);
}

/// Makes room for `block` at the end of `out`.
template <typename Block>
std::span<std::byte> extend(std::vector<std::byte>& out, const Block& block) {
  const std::size_t start = out.size();
  out.resize(start + block_size(block));
  return std::span(out).subspan(start);
}

}  // namespace

void append(std::vector<std::byte>& out, const SectionHeader& section) {
  write_block(extend(out, section), BlockType::section_header, section);
}

void append(std::vector<std::byte>& out, const InterfaceDescription& interface) {
  write_block(extend(out, interface), BlockType::interface_description, interface);
}

void append(std::vector<std::byte>& out, const InterfaceStatistics& statistics) {
  write_block(extend(out, statistics), BlockType::interface_statistics, statistics);
}

void append(std::vector<std::byte>& out, const EnhancedPacket& packet, std::span<const std::byte> data) {
  assert(data.size() == packet.captured_length);
  Writer(encode(packet, extend(out, packet))).bytes(data);
}

std::size_t encoded_size(const EnhancedPacket& packet) noexcept {
  return block_size(packet);
}

std::span<std::byte> encode(const EnhancedPacket& packet, std::span<std::byte> block) noexcept {
  return write_block(block, BlockType::enhanced_packet, packet);
}

BlockHeader read_block_header(std::span<const std::byte> block) noexcept {
  BlockHeader header{};
  static_assert(sizeof header == 8);
  std::memcpy(&header, block.data(), sizeof header);
  return header;
}

PacketOrigin read_packet_origin(std::span<const std::byte> block) noexcept {
  std::array<std::uint32_t, 3> words{};  // interface, time high, time low
  std::memcpy(words.data(), block.data() + sizeof(BlockHeader), sizeof words);
  return {words[0], std::uint64_t{words[1]} << 32 | words[2]};
}

std::uint64_t read_dropped(std::span<const std::byte> block) noexcept {
  struct OptionHeader {
    std::uint16_t code;
    std::uint16_t length;
  } option{};
  constexpr std::size_t kFixedBytes = 20;  // type, length, interface, time
  constexpr std::size_t kTrailerBytes = 4;
  if (block.size() < kFixedBytes + kTrailerBytes) return 0;
  block = block.first(block.size() - kTrailerBytes).subspan(kFixedBytes);
  while (block.size() >= sizeof option) {
    std::memcpy(&option, block.data(), sizeof option);
    block = block.subspan(sizeof option);
    if (option.code == kEndOfOptions || option.length > block.size()) break;
    if (option.code == kIsbIfDrop && option.length == sizeof(std::uint64_t)) {
      std::uint64_t dropped = 0;
      std::memcpy(&dropped, block.data(), sizeof dropped);
      return dropped;
    }
    block = block.subspan(std::min(padded(option.length), block.size()));
  }
  return 0;
}

}  // namespace patchbay::vswitch::capture
