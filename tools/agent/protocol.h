// What a guest's agent and the engine say to each other over the virtio serial port kPortName, and, with
// session 0 only, the engine and `patchbay exec` over the control socket. Any number of commands at a time,
// each a session.
//
// A stream of frames, little-endian: u32 session, u8 type, u24 length, then `length` bytes. When a program of
// the guest opens the port, both directions begin with a frame.
//
//   agent -> engine   hello          u32 version
//                     output         bytes of the command's standard output
//                     error_output   bytes of its standard error
//                     exit           i32 exit status, 128 + signal number; then text, if it could not be
//                     started
//   engine -> agent   start          u16 words, u16 variables, then each of them with a 0 byte behind it
//                     input          bytes for its standard input; none: end of the input
//                     signal         u32 number, for the command and its children
//                     drop           nobody listens any more: kill it
//   both              window         u32 bytes more that the other side may send: output and error_output
//   together, or
//                                    input. A session begins with kWindow each way.
//
// Used by the agent, which is a static program without exceptions: nothing here but plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace patchbay::agent {

inline constexpr char kPortName[] = "patchbay.agent";
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kWindow = 64 * 1024;      // bytes
inline constexpr std::uint32_t kMaxPayload = 64 * 1024;  // of a frame
inline constexpr std::size_t kMaxSessions = 256;         // at a time

enum class Type : std::uint8_t {
  hello = 1,
  output = 2,
  error_output = 3,
  exit = 4,
  window = 5,
  start = 6,
  input = 7,
  signal = 8,
  drop = 9,
};

struct FrameHeader {
  static constexpr std::size_t kBytes = 8;

  std::uint32_t session = 0;
  Type type = Type::hello;
  std::uint32_t length = 0;

  void encode(void* to) const noexcept {
    const std::uint32_t second = static_cast<std::uint32_t>(type) | length << 8;
    std::memcpy(to, &session, 4);
    std::memcpy(static_cast<char*>(to) + 4, &second, 4);
  }
  static FrameHeader decode(const void* from) noexcept {
    std::uint32_t words[2];
    std::memcpy(words, from, sizeof words);
    return {words[0], static_cast<Type>(words[1] & 0xFF), words[1] >> 8};
  }
};

}  // namespace patchbay::agent
