// A machine's serial console on a Unix socket (mode 0600) for any number of clients at once. Every client
// sees all output, a new one first the last 64 KiB of it; all clients' input goes to the machine. A client
// that reads too slowly misses what has left those 64 KiB; it never holds the machine up.
//
// No thread of its own: an event loop polls poll_fd() for readability and calls handle().
// Threads: handle() from one thread at a time; write() from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "devices/bus.h"

namespace patchbay::vmm {

class ConsoleSocket {
 public:
  static constexpr std::size_t kScrollbackBytes = 64 * 1024;
  using Input = std::function<void(std::span<const std::byte>)>;

  /// Listens at `path`, replacing a stale socket there; removed again by the destructor. `input` is called
  /// from handle(). Throws std::runtime_error or std::system_error.
  ConsoleSocket(const std::string& path, Input input);
  ~ConsoleSocket();
  ConsoleSocket(const ConsoleSocket&) = delete;
  ConsoleSocket& operator=(const ConsoleSocket&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Readable when handle() has something to do.
  [[nodiscard]] int poll_fd() const noexcept { return epoll_.get(); }
  /// Accepts, reads and writes what can be done without blocking.
  void handle();
  /// Machine output.
  void write(std::span<const std::byte> data) noexcept;

 private:
  struct Client {
    devices::FileDescriptor fd;
    std::uint64_t sent = 0;    // position in the output stream
    bool wants_write = false;  // watched for EPOLLOUT
  };

  void accept_clients();
  /// False if the client is gone.
  [[nodiscard]] bool read_from(const Client& client);
  [[nodiscard]] bool send_pending(Client& client) noexcept;
  void watch(Client& client, bool wants_write) noexcept;

  std::string path_;
  Input input_;
  devices::FileDescriptor listener_;
  devices::FileDescriptor epoll_;
  std::mutex mutex_;  // everything below
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::byte> scrollback_;  // a ring once it is full
  std::uint64_t written_ = 0;          // bytes of output so far
};

}  // namespace patchbay::vmm
