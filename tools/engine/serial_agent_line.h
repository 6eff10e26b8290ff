// The agent of a guest under our own VMM: its line is the in-process virtio serial device.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "devices/console/serial_port.h"
#include "tools/engine/agent_line.h"

namespace patchbay::tools {

class SerialAgentLine final : public AgentLine {
 public:
  /// Both outlive it. Throws std::system_error.
  SerialAgentLine(boost::asio::io_context& loop, devices::console::SerialPort& port);

  void watch(std::function<void()> changed) override;
  [[nodiscard]] bool is_open() const override { return port_.guest_open(); }
  [[nodiscard]] std::uint64_t openings() const override { return port_.openings(); }
  std::size_t read(std::span<std::byte> data) override { return port_.read(data); }
  std::size_t write(std::span<const std::byte> data) override { return port_.write(data); }

 private:
  void wait();

  devices::console::SerialPort& port_;
  std::function<void()> changed_;
  bool waiting_ = false;
  boost::asio::posix::stream_descriptor event_;
};

}  // namespace patchbay::tools
