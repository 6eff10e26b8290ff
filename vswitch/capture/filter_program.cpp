#include "vswitch/capture/filter_program.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "vswitch/frame.h"

namespace patchbay::vswitch::capture {
namespace {

/// 4 * ([k] & 0xf), the length of an IPv4 header.
constexpr std::uint32_t kMaxIpHeaderBytes = 60;
/// An mbuf segment's length has 16 bits.
constexpr std::size_t kMaxNativeReach = 0xFFFF;

/// Verified within milliseconds.
constexpr std::uint64_t kMaxNativePaths = 10'000;

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

bool native_instruction(const bpf_insn& instruction) noexcept {
  switch (instruction.code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_B | BPF_MSH:
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_RET | BPF_K:
      return true;
    case BPF_JMP | BPF_JSET | BPF_K:
      // Only constants that do not fit into a sign-extended byte, and need no extension themselves.
      return instruction.k > 0x7F && instruction.k <= 0x7FFFFFFF;
    default:
      return false;
  }
}

/// Ways through the program, at most kMaxNativePaths + 1. All jumps lead forward.
std::uint64_t count_paths(FilterProgram program) {
  std::vector<std::uint64_t> paths(program.size() + 1, 0);  // from each instruction to the end
  const auto from = [&](std::size_t target) { return paths[std::min(target, program.size())]; };
  for (std::size_t i = program.size(); i-- > 0;) {
    const bpf_insn& instruction = program[i];
    if (BPF_CLASS(instruction.code) == BPF_RET) {
      paths[i] = 1;
    } else if (instruction.code == (BPF_JMP | BPF_JA)) {
      paths[i] = from(i + 1 + instruction.k);
    } else if (BPF_CLASS(instruction.code) == BPF_JMP) {
      paths[i] = from(i + 1 + instruction.jt) + from(i + 1 + instruction.jf);
    } else {
      paths[i] = from(i + 1);
    }
    paths[i] = std::min(paths[i], kMaxNativePaths + 1);
  }
  return paths.front();
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

bool runs_native(FilterProgram program) {
  return std::all_of(program.begin(), program.end(), native_instruction) &&
         program_reach(program) <= kMaxNativeReach && count_paths(program) <= kMaxNativePaths;
}

}  // namespace patchbay::vswitch::capture
