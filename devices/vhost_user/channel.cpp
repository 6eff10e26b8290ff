#include "devices/vhost_user/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace patchbay::devices::vhost_user {

std::optional<Message> Channel::receive() {
  constexpr std::size_t kHeader = sizeof(MessageHeader);
  while (received_ < kHeader) {
    const std::size_t n = read(std::span(raw_header_).subspan(received_));
    if (n == 0) return std::nullopt;
    received_ += n;
    if (received_ < kHeader) continue;
    std::memcpy(&message_.header, raw_header_.data(), kHeader);
    if ((message_.header.flags & MessageHeader::kVersionMask) != MessageHeader::kVersion) {
      throw std::runtime_error("the peer speaks another version of the protocol, or no vhost-user at all");
    }
    if (message_.header.size > kMaxPayload) {
      throw std::runtime_error("a message of " + std::to_string(message_.header.size) + " bytes");
    }
    message_.payload.resize(message_.header.size);
  }
  while (received_ < kHeader + message_.payload.size()) {
    const std::size_t n = read(std::span(message_.payload).subspan(received_ - kHeader));
    if (n == 0) return std::nullopt;
    received_ += n;
  }
  received_ = 0;
  return std::exchange(message_, {});
}

std::size_t Channel::read(std::span<std::byte> bytes) {
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxFds * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  if (n < 0) throw std::runtime_error(std::string("the connection failed: ") + std::strerror(errno));

  // Take every descriptor into ownership before anything can throw.
  std::array<FileDescriptor, kMaxFds> fds;
  std::size_t count = 0;
  for (cmsghdr* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr;
       part_of = CMSG_NXTHDR(&message, part_of)) {
    if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t here = (part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < here; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part_of) + i * sizeof fd, sizeof fd);
      FileDescriptor owned(fd);
      if (count < fds.size()) fds[count++] = std::move(owned);
    }
  }
  if (n == 0) throw std::runtime_error("the peer closed the connection");
  if ((message.msg_flags & MSG_CTRUNC) != 0 || message_.fds.size() + count > kMaxFds) {
    throw std::runtime_error("a message with more than 8 descriptors, or none left here (ulimit -n)");
  }
  for (std::size_t i = 0; i < count; ++i)
    message_.fds.push_back(std::move(fds[i]));
  return static_cast<std::size_t>(n);
}

void Channel::reply(const MessageHeader& request, std::span<const std::byte> payload, int fd) {
  MessageHeader header;
  header.request = request.request;
  header.flags = MessageHeader::kVersion | MessageHeader::kReply;
  header.size = static_cast<std::uint32_t>(payload.size());
  std::array<std::byte, sizeof header + kMaxConfig + sizeof(ConfigHeader)> bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
  const std::size_t length = sizeof header + payload.size();
  iovec part{bytes.data(), length};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof fd)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  ssize_t n = 0;
  do {
    n = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  // The buffer of a socket holds thousands of replies: a peer that lets it fill up does not read any.
  if (n != static_cast<ssize_t>(length)) throw std::runtime_error("the peer does not read our replies");
}

}  // namespace patchbay::devices::vhost_user
