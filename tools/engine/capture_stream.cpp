#include "tools/engine/capture_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

namespace patchbay::tools {

namespace {
/// A client that reads nothing for so long while the capture ends loses the rest.
constexpr timeval kSendTimeout{2, 0};
}  // namespace

CaptureStream::CaptureStream(vswitch::Switch& vswitch, std::vector<std::string> ports,
                             std::vector<vswitch::capture::CaptureInterface> interfaces,
                             vswitch::capture::CaptureOptions options)
    : switch_(vswitch), ports_(std::move(ports)), session_(std::move(interfaces), std::move(options)) {
  for (std::size_t i = 0; i < ports_.size(); ++i)
    switch_.set_tap(ports_[i], &session_.tap(i));
}

CaptureStream::~CaptureStream() {
  for (const std::string& port : ports_)
    switch_.set_tap(port, nullptr);
  session_.stop();
  ::setsockopt(client_.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  ::shutdown(client_.get(), SHUT_RD);
  if (writer_.joinable()) writer_.join();
}

void CaptureStream::start(vswitch::FileDescriptor client, std::function<void()> on_end) {
  client_ = std::move(client);
  on_end_ = std::move(on_end);
  ::fcntl(client_.get(), F_SETFL, ::fcntl(client_.get(), F_GETFL) & ~O_NONBLOCK);
  writer_ = std::thread([this] { write_all(); });
}

void CaptureStream::write_all() {
  std::vector<std::byte> buffer(2 * vswitch::capture::kMinReadBytes);
  const auto send_whole = [&](std::size_t bytes) {
    for (std::size_t at = 0; at < bytes;) {
      const ssize_t sent = ::send(client_.get(), buffer.data() + at, bytes - at, MSG_NOSIGNAL);
      if (sent <= 0) {
        if (sent < 0 && errno == EINTR) continue;
        return false;
      }
      at += static_cast<std::size_t>(sent);
    }
    return true;
  };
  bool connected = true;
  while (connected) {
    while (const std::size_t bytes = session_.read(buffer)) {
      if (!(connected = send_whole(bytes))) break;
    }
    if (!connected || session_.finished()) break;
    if (session_.arm()) continue;
    // The client never sends: readable means that it closed its end, which is how it asks for the last
    // blocks.
    pollfd waits[2]{{session_.wake_fd(), POLLIN, 0}, {client_.get(), POLLIN | POLLRDHUP, 0}};
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) break;
    if (waits[1].revents != 0) {
      session_.stop();
      while (const std::size_t bytes = session_.read(buffer)) {
        if (!send_whole(bytes)) break;
      }
      break;
    }
  }
  ::shutdown(client_.get(), SHUT_RDWR);
  on_end_();
}

}  // namespace patchbay::tools
