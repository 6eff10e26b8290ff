#include "tools/engine/loop_watch.h"

#include <fcntl.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

namespace patchbay::tools {

using boost::asio::posix::stream_descriptor;

/// Outlives its watch while the loop has calls in hand.
struct LoopWatch::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& loop, int fd, std::function<void()> on_readable)
      : descriptor(loop, fd), readable(std::move(on_readable)) {}

  void wait_read() {
    descriptor.async_wait(stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (error || self->gone) return;
                            self->readable();
                            if (!self->gone) self->wait_read();
                          });
  }
  void wait_write() {
    descriptor.async_wait(stream_descriptor::wait_write,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (error || self->gone) return;
                            if (const auto call = std::exchange(self->writable, nullptr)) call();
                          });
  }

  stream_descriptor descriptor;
  std::function<void()> readable;
  std::function<void()> writable;
  bool gone = false;
};

LoopWatch::LoopWatch(boost::asio::io_context& loop, vswitch::FileDescriptor fd, std::function<void()> readable)
    : state_(std::make_shared<State>(loop, fd.get(), std::move(readable))) {
  static_cast<void>(fd.release());
  state_->wait_read();
}

LoopWatch::~LoopWatch() {
  state_->gone = true;
  boost::system::error_code ignored;
  state_->descriptor.close(ignored);
}

int LoopWatch::fd() const noexcept {
  return state_->descriptor.native_handle();
}

void LoopWatch::when_writable(std::function<void()> writable) {
  if (!std::exchange(state_->writable, std::move(writable))) state_->wait_write();
}

vswitch::FileDescriptor duplicate(int fd) {
  vswitch::FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy)
    throw std::system_error(errno, std::generic_category(),
                            "cannot duplicate a descriptor; raise the limit of open files (ulimit -n)");
  return copy;
}

}  // namespace patchbay::tools
