// A machine's console socket, served by the engine's loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <string>

#include "vmm/platform/console_socket.h"

namespace patchbay::tools {

class LoopConsole {
 public:
  /// Throws what ConsoleSocket throws.
  LoopConsole(boost::asio::io_context& loop, const std::string& path, vmm::ConsoleSocket::Input input);

  [[nodiscard]] const std::string& path() const noexcept { return socket_.path(); }
  /// Machine output; any thread.
  void write(std::span<const std::byte> data) noexcept { socket_.write(data); }

 private:
  void wait();

  vmm::ConsoleSocket socket_;
  boost::asio::posix::stream_descriptor watch_;
};

}  // namespace patchbay::tools
