// A frame for tests: bytes in memory of its own, cut into pieces, and the view that a port would give of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "vswitch/frame.h"

namespace patchbay::vswitch::capture {

class TestFrame {
 public:
  /// The bytes beyond the header copy are spread evenly over `pieces`.
  explicit TestFrame(std::vector<std::byte> bytes, std::size_t pieces = 1) : bytes_(std::move(bytes)) {
    view_.length = static_cast<std::uint32_t>(bytes_.size());
    const std::size_t in_header = std::min(bytes_.size(), kHeaderBytes);
    std::copy_n(bytes_.begin(), in_header, view_.header.begin());
    const std::span<const std::byte> rest = std::span(std::as_const(bytes_)).subspan(in_header);
    if (rest.empty()) return;
    for (std::size_t i = 0; i < pieces; ++i) {
      const std::size_t begin = rest.size() * i / pieces;
      const std::size_t end = rest.size() * (i + 1) / pieces;
      tail_.push_back(rest.subspan(begin, end - begin));
    }
    view_.tail = tail_;
  }
  TestFrame(const TestFrame&) = delete;
  TestFrame& operator=(const TestFrame&) = delete;

  [[nodiscard]] FrameView& view() noexcept { return view_; }
  [[nodiscard]] const FrameView& view() const noexcept { return view_; }
  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  std::vector<Piece> tail_;
  FrameView view_;
};

inline std::vector<std::byte> to_bytes(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values)
    bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

/// `length` bytes 0, 1, 2 ... 250, 0 ...: a prime period, so that misplaced copies show.
inline std::vector<std::byte> pattern(std::size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t i = 0; i < length; ++i)
    bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

/// Ethernet, IPv4 10.0.0.1 -> 192.168.0.2, TCP or UDP 4660 -> `port`, then `payload` pattern bytes. The
/// transport checksum is zero.
inline std::vector<std::byte> ip_frame(int protocol, int port, std::size_t payload = 0) {
  std::vector<std::byte> frame = to_bytes({0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00});
  const std::size_t transport = protocol == 6 ? 20 : 8;
  const auto total = static_cast<int>(20 + transport + payload);
  const auto ip = to_bytes(
      {0x45, 0, total >> 8, total & 0xFF, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 192, 168, 0, 2});
  frame.insert(frame.end(), ip.begin(), ip.end());
  const auto length = static_cast<int>(transport + payload);
  const auto ports = to_bytes({0x12, 0x34, port >> 8, port & 0xFF});
  frame.insert(frame.end(), ports.begin(), ports.end());
  const auto rest = protocol == 6 ? to_bytes({0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0x20, 0, 0, 0, 0, 0})
                                  : to_bytes({length >> 8, length & 0xFF, 0, 0});
  frame.insert(frame.end(), rest.begin(), rest.end());
  const auto data = pattern(payload);
  frame.insert(frame.end(), data.begin(), data.end());
  return frame;
}

}  // namespace patchbay::vswitch::capture
