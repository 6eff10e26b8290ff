// One connected vhost-user socket: takes messages with their descriptors off it and sends replies. Knows
// nothing of what they mean. The peer is not trusted: sizes and numbers of descriptors are bounded, a message
// that breaks the framing ends the connection.
//
// One thread (control). Never blocks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "devices/bus.h"
#include "devices/vhost_user/protocol.h"

namespace patchbay::devices::vhost_user {

struct Message {
  MessageHeader header;
  std::vector<std::byte> payload;   // header.size bytes
  std::vector<FileDescriptor> fds;  // at most kMaxFds
};

class Channel {
 public:
  /// `socket` is a connected stream socket, non-blocking.
  explicit Channel(FileDescriptor socket) noexcept : socket_(std::move(socket)) {}

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  /// The next whole message, or nothing if it has not arrived yet. Throws std::runtime_error when the peer
  /// has closed the connection or broken the framing; the channel is of no use then.
  [[nodiscard]] std::optional<Message> receive();

  /// Answers `request`, with a descriptor if `fd` is one. Throws std::runtime_error if the peer does not take
  /// it.
  void reply(const MessageHeader& request, std::span<const std::byte> payload, int fd = -1);

 private:
  /// Reads up to `bytes.size()`; 0 if nothing waits.
  [[nodiscard]] std::size_t read(std::span<std::byte> bytes);

  FileDescriptor socket_;
  Message message_;           // in the making
  std::size_t received_ = 0;  // bytes of it, header included
  std::array<std::byte, sizeof(MessageHeader)> raw_header_{};
};

}  // namespace patchbay::devices::vhost_user
