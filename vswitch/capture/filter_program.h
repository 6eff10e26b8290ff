// What can be told about a classic BPF program before it runs: how far into a frame it reads, and whether
// DPDK's translation of it to native code can be trusted.
#pragma once

#include <pcap/pcap.h>

#include <cstddef>
#include <span>

namespace patchbay::vswitch::capture {

using FilterProgram = std::span<const bpf_insn>;

/// Bytes from the start of a frame that `program` can read, at most kMaxFrameBytes.
[[nodiscard]] std::size_t program_reach(FilterProgram program) noexcept;

/// True if the program has few paths and every instruction is one that rte_bpf_convert() and DPDK's x86 code
/// generator are known to translate rightly (measured with 22.11.11). The ones left out matter: DPDK
/// - converts byte and word loads relative to X ("tcp[13]") into loads relative to A: wrong bytes, and any
/// offset;
/// - encodes "jset #k" with a small k ("tcp[13] & 2 != 0") as another instruction: a crash;
/// - checks offsets that wrap around 2^32 only against their wrapped end: reads outside the frame;
/// - verifies a program by following its paths, which can take hours where there are many ("tcp port 80 and
/// portrange
///   1-1024 or ..." ten times over).
[[nodiscard]] bool runs_native(FilterProgram program);

}  // namespace patchbay::vswitch::capture
