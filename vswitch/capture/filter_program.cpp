#include "vswitch/capture/filter_program.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "vswitch/frame.h"

namespace patchbay::vswitch::capture {
namespace {

/// 4 * ([k] & 0xf), the length of an IPv4 header.
constexpr std::uint32_t kMaxIpHeaderBytes = 60;

constexpr std::size_t load_size(std::uint16_t code) noexcept {
  switch (BPF_SIZE(code)) {
    case BPF_W:
      return 4;
    case BPF_H:
      return 2;
    default:
      return 1;
  }
}

/// Largest value that the index register can have anywhere in the program; none if it is computed.
std::optional<std::uint32_t> max_index(FilterProgram program) noexcept {
  std::uint32_t largest = 0;
  for (const bpf_insn& instruction : program) {
    if (BPF_CLASS(instruction.code) == BPF_LDX) {
      if (BPF_MODE(instruction.code) == BPF_MSH) {
        largest = std::max(largest, kMaxIpHeaderBytes);
      } else if (BPF_MODE(instruction.code) == BPF_IMM) {
        largest = std::max(largest, static_cast<std::uint32_t>(instruction.k));
      } else {
        return std::nullopt;
      }
    } else if (instruction.code == (BPF_MISC | BPF_TAX)) {
      return std::nullopt;
    }
  }
  return largest;
}

}  // namespace

std::size_t program_reach(FilterProgram program) noexcept {
  const std::optional<std::uint32_t> index = max_index(program);
  std::size_t reach = 0;
  for (const bpf_insn& instruction : program) {
    const std::size_t offset = instruction.k;
    if (BPF_CLASS(instruction.code) == BPF_LD && BPF_MODE(instruction.code) == BPF_ABS) {
      reach = std::max(reach, offset + load_size(instruction.code));
    } else if (BPF_CLASS(instruction.code) == BPF_LD && BPF_MODE(instruction.code) == BPF_IND) {
      if (!index) return kMaxFrameBytes;
      // The sum has 32 bits: one that wraps can land anywhere.
      if (offset + *index > UINT32_MAX) return kMaxFrameBytes;
      reach = std::max(reach, offset + *index + load_size(instruction.code));
    } else if (BPF_CLASS(instruction.code) == BPF_LDX && BPF_MODE(instruction.code) == BPF_MSH) {
      reach = std::max(reach, offset + 1);
    }
  }
  return std::min(reach, kMaxFrameBytes);
}

}  // namespace patchbay::vswitch::capture
