#include "vmm/platform/console_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace patchbay::vmm {
namespace {

constexpr std::size_t kMaxClients = 64;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::runtime_error("console socket path " + path + " is longer than " +
                             std::to_string(sizeof address.sun_path - 1) +
                             " bytes; use a shorter lab or node name or run directory");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

ConsoleSocket::ConsoleSocket(const std::string& path, Input input)
    : path_(path),
      input_(std::move(input)),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!listener_ || !epoll_)
    throw_errno("cannot create the console socket; raise the limit of open files (ulimit -n)");
  const sockaddr_un address = address_of(path);
  if (struct stat status{}; ::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) throw std::runtime_error(path + " exists and is no socket; remove it");
    ::unlink(path.c_str());
  }
  // Mode 0600 from the first moment: the mode of the descriptor limits that of the name bind() creates.
  if (::fchmod(listener_.get(), 0600) != 0 ||
      ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 16) != 0) {
    throw_errno("cannot listen on console socket " + path);
  }
  scrollback_.resize(kScrollbackBytes);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // the listener
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) != 0)
    throw_errno("cannot watch " + path);
}

ConsoleSocket::~ConsoleSocket() {
  ::unlink(path_.c_str());
}

void ConsoleSocket::handle() {
  std::array<epoll_event, 16> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) {
      accept_clients();
      continue;
    }
    // Only handle() removes clients, so the pointer is good until this iteration ends.
    auto& client = *static_cast<Client*>(event.data.ptr);
    bool alive = true;
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) alive = read_from(client);
    const std::lock_guard lock(mutex_);
    if (alive && (event.events & EPOLLOUT) != 0) alive = send_pending(client);
    if (!alive) std::erase_if(clients_, [&](const auto& other) { return other.get() == &client; });
  }
}

void ConsoleSocket::accept_clients() {
  for (;;) {
    devices::FileDescriptor fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    const std::lock_guard lock(mutex_);
    if (clients_.size() >= kMaxClients) continue;  // closes it
    auto client = std::make_unique<Client>();
    client->fd = std::move(fd);
    client->sent = written_ - std::min<std::uint64_t>(written_, kScrollbackBytes);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = client.get();
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, client->fd.get(), &event) != 0) continue;
    if (send_pending(*client)) clients_.push_back(std::move(client));
  }
}

bool ConsoleSocket::read_from(const Client& client) {
  std::array<std::byte, 4096> buffer;
  const ssize_t count = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
  if (count > 0) {
    input_(std::span(buffer).first(static_cast<std::size_t>(count)));
    return true;
  }
  return count < 0 && (errno == EAGAIN || errno == EINTR);
}

bool ConsoleSocket::send_pending(Client& client) noexcept {
  const std::uint64_t oldest = written_ - std::min<std::uint64_t>(written_, kScrollbackBytes);
  client.sent = std::max(client.sent, oldest);
  while (client.sent != written_) {
    const std::size_t start = client.sent % kScrollbackBytes;
    const std::size_t length = std::min<std::uint64_t>(written_ - client.sent, kScrollbackBytes - start);
    const ssize_t count =
        ::send(client.fd.get(), scrollback_.data() + start, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return false;
      watch(client, true);
      return true;
    }
    client.sent += static_cast<std::uint64_t>(count);
  }
  watch(client, false);
  return true;
}

void ConsoleSocket::watch(Client& client, bool wants_write) noexcept {
  if (client.wants_write == wants_write) return;
  client.wants_write = wants_write;
  epoll_event event{};
  event.events = EPOLLIN | (wants_write ? EPOLLOUT : 0U);
  event.data.ptr = &client;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.fd.get(), &event);
}

void ConsoleSocket::write(std::span<const std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  while (!data.empty()) {
    const std::size_t start = written_ % kScrollbackBytes;
    const std::size_t length = std::min(data.size(), kScrollbackBytes - start);
    std::memcpy(scrollback_.data() + start, data.data(), length);
    written_ += length;
    data = data.subspan(length);
  }
  // A client that broke is removed by handle(): its hang-up makes poll_fd() readable.
  for (const auto& client : clients_) {
    if (!client->wants_write) (void)send_pending(*client);
  }
}

}  // namespace patchbay::vmm
