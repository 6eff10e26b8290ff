// What can be told about a classic BPF program before it runs: how far into a frame it reads.
#pragma once

#include <pcap/pcap.h>

#include <cstddef>
#include <span>

namespace patchbay::vswitch::capture {

using FilterProgram = std::span<const bpf_insn>;

/// Bytes from the start of a frame that `program` can read, at most kMaxFrameBytes.
[[nodiscard]] std::size_t program_reach(FilterProgram program) noexcept;

}  // namespace patchbay::vswitch::capture
