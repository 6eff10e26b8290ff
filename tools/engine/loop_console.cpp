#include "tools/engine/loop_console.h"

#include <fcntl.h>

namespace patchbay::tools {

LoopConsole::LoopConsole(boost::asio::io_context& loop, const std::string& path,
                         vmm::ConsoleSocket::Input input)
    : socket_(path, std::move(input)),
      // A duplicate, so that closing the watch leaves the console's own descriptor alone.
      watch_(loop, ::fcntl(socket_.poll_fd(), F_DUPFD_CLOEXEC, 0)) {
  wait();
}

void LoopConsole::wait() {
  watch_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;  // the watch is gone, and this object with it
                      socket_.handle();
                      wait();
                    });
}

}  // namespace patchbay::tools
