#include "tools/engine/qemu/socket_agent_line.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/agent/protocol.h"

namespace patchbay::tools::qemu {

namespace {

/// What every agent of our version says first.
std::string hello() {
  std::string frame(agent::FrameHeader::kBytes, '\0');
  agent::FrameHeader{0, agent::Type::hello, sizeof agent::kVersion}.encode(frame.data());
  std::array<char, sizeof agent::kVersion> version;
  std::memcpy(version.data(), &agent::kVersion, sizeof agent::kVersion);
  return frame.append(version.data(), version.size());
}

}  // namespace

void SocketAgentLine::attach(vswitch::FileDescriptor socket, std::function<void()> before_reading) {
  socket_ = std::make_unique<LoopWatch>(loop_, std::move(socket), [this, before = std::move(before_reading)] {
    before();
    if (socket_ == nullptr) return;
    if (open_) return tell();
    drain();
  });
}

void SocketAgentLine::drain() {
  std::array<char, 4096> rest;
  while (socket_) {
    const ssize_t count = ::recv(socket_->fd(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (count == 0) socket_.reset();  // QEMU is gone
    if (count < 0 && errno != EINTR) return;
  }
}

void SocketAgentLine::detach() {
  socket_.reset();
  set_open(false);
}

void SocketAgentLine::set_open(bool open) {
  if (open_ == open) return;
  open_ = open;
  found_ = false;
  pending_.clear();
  if (open) ++openings_;
  if (!open) drain();
  tell();
}

std::size_t SocketAgentLine::read(std::span<std::byte> data) {
  while (open_ && socket_) {
    if (found_ && !pending_.empty()) {
      const std::size_t count = std::min(data.size(), pending_.size());
      std::memcpy(data.data(), pending_.data(), count);
      pending_.erase(0, count);
      return count;
    }
    const ssize_t count = ::recv(socket_->fd(), data.data(), data.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) socket_.reset();
    if (count <= 0) return 0;
    if (found_) return static_cast<std::size_t>(count);
    static const std::string kBeginning = hello();
    pending_.append(reinterpret_cast<const char*>(data.data()), static_cast<std::size_t>(count));
    const std::size_t at = pending_.find(kBeginning);
    found_ = at != std::string::npos;
    pending_.erase(0, found_ ? at : pending_.size() - std::min(pending_.size(), kBeginning.size() - 1));
  }
  return 0;
}

std::size_t SocketAgentLine::write(std::span<const std::byte> data) {
  if (!open_ || !socket_) return 0;
  const ssize_t count = ::send(socket_->fd(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count > 0) return static_cast<std::size_t>(count);
  if (errno == EAGAIN) socket_->when_writable([this] { tell(); });
  return 0;
}

}  // namespace patchbay::tools::qemu
