// Capture filters in libpcap syntax ("icmp", "tcp port 80 and host 10.0.1.2"), run on frames in the data
// path.
//
// libpcap compiles the expression to classic BPF. Where DPDK can turn the program into native code, and is
// known to do so rightly, that code runs; all other programs run in libpcap's interpreter. Both read only
// bytes of a private copy: the frame's header copy, or a longer copy in this object if the program reaches
// further.
//
// A filter may do nothing worse than choose the wrong frames: programs are validated by libpcap and by DPDK,
// loads are checked against the length of the copy, and there are no backward jumps.
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

struct rte_bpf;
struct rte_mbuf;

namespace patchbay::vswitch::capture {

/// An expression that libpcap does not accept. The text holds the expression, libpcap's reason and what to
/// do.
class FilterError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Longest expression accepted, in bytes; bounds what its compilation can cost (below a second).
inline constexpr std::size_t kMaxFilterBytes = 2048;
/// Instructions of a program that libpcap may still optimize: the time for it grows with the square, to seconds
/// for kMaxFilterBytes of port ranges.
inline constexpr unsigned kMostOptimized = 2048;

class Filter {
 public:
  /// How frames are matched.
  enum class Engine : unsigned char { match_all, interpreter, native };

  /// Compiles `expression`; an empty one matches every frame. Any thread; names of hosts are looked up by the
  /// system's resolver, which may block. Native code needs a started EAL. Throws FilterError.
  explicit Filter(const std::string& expression);
  ~Filter();
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  /// True if the frame matches. One thread at a time: a worker.
  [[nodiscard]] bool matches(const FrameView& frame) noexcept;

  [[nodiscard]] Engine engine() const noexcept { return engine_; }

 private:
  struct FreeProgram {
    void operator()(bpf_program* program) const noexcept;
  };
  struct DestroyBpf {
    void operator()(rte_bpf* bpf) const noexcept;
  };
  using NativeCode = std::uint64_t (*)(void*);

  void compile(const std::string& expression);
  void make_native();

  Engine engine_ = Engine::match_all;
  std::unique_ptr<bpf_program, FreeProgram> program_;
  std::unique_ptr<rte_bpf, DestroyBpf> bpf_;
  NativeCode native_ = nullptr;
  std::unique_ptr<rte_mbuf> mbuf_;  // how native code is told where the bytes are
  std::size_t reach_ = 0;           // bytes from the start of a frame that the program can read
  std::vector<std::byte> scratch_;  // a frame's first `reach_` bytes, where the header copy is too short
};

}  // namespace patchbay::vswitch::capture
