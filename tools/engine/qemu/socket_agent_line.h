// The agent of a guest under QEMU: its line is a socket behind QEMU's virtio serial port. What has been written into a
// socket stays there when the port is closed, and that it was is told elsewhere (QMP's event VSERPORT_CHANGE), so each
// stream is taken from the agent's hello on.
//
// QEMU tells at most one change a second: an agent that is killed and started anew within that time, in the middle of a
// frame, is not understood until it opens the port again.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "tools/engine/agent_line.h"
#include "tools/engine/loop_watch.h"

namespace patchbay::tools::qemu {

class SocketAgentLine final : public AgentLine {
 public:
  explicit SocketAgentLine(boost::asio::io_context& loop) : loop_(loop) {}

  /// QEMU runs; `before_reading` brings set_open() up to date. Throws std::system_error.
  void attach(vswitch::FileDescriptor socket, std::function<void()> before_reading);
  void detach();
  /// The guest's end of the port.
  void set_open(bool open);

  void watch(std::function<void()> changed) override { changed_ = std::move(changed); }
  [[nodiscard]] bool is_open() const override { return open_; }
  [[nodiscard]] std::uint64_t openings() const override { return openings_; }
  std::size_t read(std::span<std::byte> data) override;
  std::size_t write(std::span<const std::byte> data) override;

 private:
  /// Forgets what waits: an agent that is gone has sent it.
  void drain();
  void tell() const {
    if (changed_) changed_();
  }

  boost::asio::io_context& loop_;
  std::function<void()> changed_;
  std::unique_ptr<LoopWatch> socket_;
  bool open_ = false;
  std::uint64_t openings_ = 0;
  bool found_ = false;   // the stream's beginning
  std::string pending_;  // until it is found: what may be a part of it; then what has not been read
};

}  // namespace patchbay::tools::qemu
