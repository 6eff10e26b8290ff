// Capture filters in libpcap syntax ("icmp", "tcp port 80 and host 10.0.1.2"), run on frames in the data
// path.
//
// libpcap compiles the expression to classic BPF and interprets it, on bytes of a private copy only: the
// frame's header copy, or a longer copy in this object if the program reaches further.
//
// A filter may do nothing worse than choose the wrong frames: programs are validated by libpcap, loads are
// checked against the length of the copy, and there are no backward jumps. DPDK's native code would halve the
// time for a frame (8 instead of 16 ns for one that does not match), but anybody may write a filter, and its
// generator (22.11) makes code that jumps astray: fuzzing found a program of 101 instructions ("vlan or not
// vlan or net 80 and ...") that writes to a wild address.
#pragma once

#include <pcap/pcap.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "vswitch/frame.h"

namespace patchbay::vswitch::capture {

/// An expression that libpcap does not accept. The text holds the expression, libpcap's reason and what to
/// do.
class FilterError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Longest expression accepted, in bytes; bounds what its compilation can cost (below a second).
inline constexpr std::size_t kMaxFilterBytes = 2048;
/// Instructions of a program that libpcap may still optimize: the time for it grows with the square, to
/// seconds for kMaxFilterBytes of port ranges.
inline constexpr unsigned kMostOptimized = 2048;

class Filter {
 public:
  /// Compiles `expression`; an empty one matches every frame. Any thread; names of hosts are looked up by the
  /// system's resolver, which may block. Throws FilterError.
  explicit Filter(const std::string& expression);
  ~Filter();
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  /// True if the frame matches. One thread at a time: a worker.
  [[nodiscard]] bool matches(const FrameView& frame) noexcept;

 private:
  struct FreeProgram {
    void operator()(bpf_program* program) const noexcept;
  };

  void compile(const std::string& expression);

  std::unique_ptr<bpf_program, FreeProgram> program_;  // none: matches everything
  std::size_t reach_ = 0;           // bytes from the start of a frame that the program can read
  std::vector<std::byte> scratch_;  // a frame's first `reach_` bytes, where the header copy is too short
};

}  // namespace patchbay::vswitch::capture
