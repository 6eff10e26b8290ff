// The byte stream between the engine and a guest's agent, whatever carries it: the host's end of a virtio serial port.
//
// Threads: everything on the engine's loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace patchbay::tools {

class AgentLine {
 public:
  virtual ~AgentLine() = default;

  /// `changed` is called from the loop, never from within read() or write(), when there is something to read, room to
  /// write again, or is_open() or openings() has changed. One listener;
  /// nullptr: none any more.
  virtual void watch(std::function<void()> changed) = 0;
  /// An agent has its end open.
  [[nodiscard]] virtual bool is_open() const = 0;
  /// Counts the times it was opened: a change means that a new agent is there, and nothing of the old stream is left in
  /// either direction.
  [[nodiscard]] virtual std::uint64_t openings() const = 0;
  /// 0: nothing waits.
  virtual std::size_t read(std::span<std::byte> data) = 0;
  /// Returns how many bytes were taken; 0 while there is no room, or nobody.
  virtual std::size_t write(std::span<const std::byte> data) = 0;
};

}  // namespace patchbay::tools
