// A port of the switch with the test on its other side: frames to send are queued, frames that arrive are
// kept.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "tests/integration/router/frames.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/port.h"

namespace patchbay::tests {

class HostPort final : public vswitch::Port {
 public:
  explicit HostPort(std::string name);

  // --- the test's side, any thread -------------------------------------------------------------------------
  void send(std::span<const Frame> frames);
  void send(const Frame& frame) { send(std::span(&frame, 1)); }
  /// Waits until `count` frames in all are there or the time is up, then takes all there are.
  [[nodiscard]] std::vector<Frame> receive(std::size_t count, std::chrono::milliseconds limit);

  /// While set, the host takes no frames: a link with flow control stands still.
  void set_busy(bool busy);

  // --- the switch's side -----------------------------------------------------------------------------------
  void pull(vswitch::Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const vswitch::FrameView* const> frames) override;
  [[nodiscard]] int wake_fd() const noexcept override { return wake_.get(); }
  [[nodiscard]] bool arm() override;
  void disarm() override;
  void set_link(bool) override {}

 private:
  vswitch::FileDescriptor wake_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  bool busy_ = false;
  std::deque<Frame> to_send_;
  std::vector<Frame> received_;
};

}  // namespace patchbay::tests
