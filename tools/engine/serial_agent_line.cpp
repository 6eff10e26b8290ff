#include "tools/engine/serial_agent_line.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace patchbay::tools {

SerialAgentLine::SerialAgentLine(boost::asio::io_context& loop, devices::console::SerialPort& port)
    // A duplicate, so that closing the watch leaves the port's own descriptor alone.
    : port_(port), event_(loop, ::fcntl(port.event_fd(), F_DUPFD_CLOEXEC, 0)) {}

void SerialAgentLine::watch(std::function<void()> changed) {
  const bool waiting = std::exchange(waiting_, true);
  changed_ = std::move(changed);
  if (!waiting) wait();
}

void SerialAgentLine::wait() {
  event_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;  // the watch is gone, and this object with it
                      std::uint64_t events = 0;
                      static_cast<void>(!::read(event_.native_handle(), &events, sizeof events));
                      if (changed_) changed_();
                      wait();
                    });
}

}  // namespace patchbay::tools
