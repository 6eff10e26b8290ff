// A capture: taps on one or several ports, a filter, and the frames that match as a pcapng stream.
//
//   CaptureSession session({{.name = "r1:eth0", .description = "lab r1:eth0 -- h1:eth1"}}, {.filter =
//   "icmp"}); worker.run([&] { segment.set_tap(index, &session.tap(0)); });   // on the data path from here
//   on for (;;) {                                                      // the writer: one thread, or a
//   handler that
//     while (std::size_t n = session.read(buffer)) write(buffer, n);  //   runs when wake_fd() is readable
//     if (session.finished()) break;
//     if (!session.arm()) wait_readable(session.wake_fd());
//   }
// To end it: detach the taps, then stop(); the writer goes on until finished(). It also finishes by itself
// after `max_packets`; detach the taps then too. What is in the ring is never lost, and interface statistics
// end the stream.
//
// Threads: taps are called on the workers whose frames pass, and neither wait for the writer nor allocate:
// frames that find the ring full are counted, and reported in epb_dropcount of the next packet and in
// isb_ifdrop. read(), finished(), arm() and wake_fd() belong to the writer. stop() and statistics() may be
// called from any thread.
//
// Frames are recorded as a wire would carry them: checksums left to the wire are completed. A frame left to
// the wire to be segmented is recorded in one piece with a comment that says so; segments show none to a tap.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vswitch/capture/pcapng.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/tap_point.h"

namespace patchbay::vswitch::capture {

/// A link end that is captured; becomes an interface of the pcapng section.
struct CaptureInterface {
  std::string name{};         // "r1:eth0"
  std::string description{};  // "two-lans r1:eth0 -- h1:eth1"
  std::optional<std::array<std::uint8_t, 6>> mac{};
  std::uint64_t speed = 0;  // bit/s, 0: not said
  std::string hardware{};   // "virtio-net"
  unsigned worker = 0;      // the worker that owns the port; ports of one worker share a ring
};

struct CaptureOptions {
  std::string filter{};              // libpcap expression; empty: every frame
  std::uint32_t snaplen = 0;         // bytes kept of each frame; 0: all
  std::uint64_t max_packets = 0;     // end after so many packets; 0: no limit
  std::size_t ring_bytes = 4 << 20;  // buffer per worker, at least kMinRingBytes
  std::string application = "Patchbay";
};

/// Twice the longest block, so that an empty ring takes any block.
inline constexpr std::size_t kMinRingBytes = 256 * 1024;
/// Smallest buffer that read() accepts: the longest block fits.
inline constexpr std::size_t kMinReadBytes = 128 * 1024;

/// Per interface, since the start. received == accepted + frames the filter left out; accepted == dropped +
/// delivered + frames still in the ring (at the end: those beyond max_packets).
struct CaptureStatistics {
  std::uint64_t received = 0;
  std::uint64_t accepted = 0;
  std::uint64_t dropped = 0;
  std::uint64_t delivered = 0;
};

class CaptureSession {
 public:
  /// Throws FilterError, std::system_error, or std::invalid_argument without an interface.
  CaptureSession(std::vector<CaptureInterface> interfaces, CaptureOptions options);
  /// Precondition: no tap is attached any more.
  ~CaptureSession();
  CaptureSession(const CaptureSession&) = delete;
  CaptureSession& operator=(const CaptureSession&) = delete;

  /// What to attach to the port of interface `index`.
  [[nodiscard]] TapPoint& tap(std::size_t index) noexcept;

  /// Copies whole blocks into `out` and returns their bytes; 0 if none waits now. Throws
  /// std::invalid_argument if `out` is shorter than kMinReadBytes.
  [[nodiscard]] std::size_t read(std::span<std::byte> out);
  /// True once read() has returned the last block.
  [[nodiscard]] bool finished() const noexcept { return stage_ == Stage::finished; }
  /// Readable when read() may have something after arm() returned false. Constant; owned by the session.
  [[nodiscard]] int wake_fd() const noexcept { return wake_fd_.get(); }
  /// Drains wake_fd() and asks for a wake-up. Returns true if blocks wait already: read on.
  [[nodiscard]] bool arm();

  /// Ends the capture: taps ignore further frames. Detach the taps first: frames that pass while this is
  /// called may or may not be recorded.
  void stop() noexcept;

  [[nodiscard]] CaptureStatistics statistics(std::size_t interface) const noexcept;

 private:
  struct Channel;
  class Tap;
  enum class Stage : unsigned char { preamble, packets, statistics, finished };

  void append_preamble();
  void append_statistics();
  [[nodiscard]] std::size_t read_control(std::span<std::byte> out) noexcept;
  [[nodiscard]] std::size_t read_packets(std::span<std::byte> out) noexcept;
  [[nodiscard]] Channel* oldest() noexcept;
  [[nodiscard]] bool limit_reached() const noexcept {
    return options_.max_packets != 0 && packets_read_ == options_.max_packets;
  }
  void wake() noexcept;

  std::vector<CaptureInterface> interfaces_;
  CaptureOptions options_;
  FileDescriptor wake_fd_;
  std::uint64_t start_time_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<std::unique_ptr<Tap>> taps_;

  alignas(64) std::atomic<bool> stopped_{false};
  std::atomic<bool> writer_waits_{false};

  // The writer's.
  Stage stage_ = Stage::preamble;
  std::vector<std::byte>
      control_;  // blocks that do not come from a ring: first the preamble, then the statistics
  std::uint64_t packets_read_ = 0;
};

}  // namespace patchbay::vswitch::capture
